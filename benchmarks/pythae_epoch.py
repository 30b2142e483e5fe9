"""One epoch of the network of the preset `mnist` by pythae's trainer; prints its processor seconds.

It is run by `benchmarks.training_speed`, by a Python that has pythae, and imports nothing of this project.
"""

import logging
import sys
import tempfile
import time

import torch
from pythae.data.datasets import BaseDataset
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from torch import Tensor, nn


class Gated(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.both = nn.Linear(inputs, 2 * outputs)

    def forward(self, values: Tensor) -> Tensor:
        through, gate = self.both(values).chunk(2, 1)
        gated: Tensor = through * torch.sigmoid(gate)
        return gated


class Encoder(BaseEncoder):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), Gated(784, 300), Gated(300, 300))
        self.mean, self.log_variance = nn.Linear(300, 40), nn.Linear(300, 40)

    def forward(self, rows: Tensor) -> ModelOutput:
        hidden = self.layers(rows)
        return ModelOutput(embedding=self.mean(hidden), log_covariance=self.log_variance(hidden))


class Decoder(BaseDecoder):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(Gated(40, 300), Gated(300, 300), nn.Linear(300, 784), nn.Sigmoid())

    def forward(self, latent: Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=self.layers(latent).reshape(-1, 1, 28, 28))


def main() -> None:
    logging.disable(logging.CRITICAL)
    torch.set_num_threads(1)
    rows = int(sys.argv[1])
    generator = torch.Generator().manual_seed(0)
    data = torch.rand(rows, 1, 28, 28, generator=generator) * (torch.rand(rows, 1, 28, 28, generator=generator) < 0.2)
    model = VAE(
        VAEConfig(input_dim=(1, 28, 28), latent_dim=40, reconstruction_loss="bce"), encoder=Encoder(), decoder=Decoder()
    )
    with tempfile.TemporaryDirectory() as directory:
        settings = BaseTrainerConfig(
            output_dir=directory,
            num_epochs=2,
            per_device_train_batch_size=100,
            learning_rate=1e-3,
            optimizer_cls="AdamW",
            no_cuda=True,
        )
        trainer = BaseTrainer(model=model, train_dataset=BaseDataset(data, torch.ones(rows)), training_config=settings)
        trainer.prepare_training()
        trainer.train_step(1)
        begun = time.process_time()
        trainer.train_step(2)
        print(time.process_time() - begun)


if __name__ == "__main__":
    main()

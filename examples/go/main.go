// Command go decodes 64 latents at once over one stream, beside one call that fails, one that is late and one that is
// cancelled.
package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"log"
	"math"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"vaeserve.example/sharedstream"
	"vaeserve.example/vaev1"
)

func main() {
	target := "127.0.0.1:50051"
	if len(os.Args) > 1 {
		target = os.Args[1]
	}
	// Replies may be larger than the 4 MB that gRPC takes without being told.
	sizes := grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32))
	connection, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()), sizes)
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	client := vaev1.NewVaeServiceClient(connection)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	described, err := client.GetModel(ctx, &vaev1.GetModelRequest{})
	if err != nil {
		log.Fatal(err)
	}
	stream := sharedstream.New(context.Background(), client)
	defer stream.Close()
	failing(ctx, stream)
	decode(ctx, stream, described.GetModel().GetLatentShape())
}

func decode(ctx context.Context, stream *sharedstream.Stream, shape []int64) {
	size := 1
	for _, length := range shape {
		size *= int(length)
	}
	var together sync.WaitGroup
	replies := make([]*vaev1.DecodeResponse, 64)
	for row := range replies {
		together.Add(1)
		go func() {
			defer together.Done()
			values := make([]float32, size)
			for i := range values {
				values[i] = float32(row) / 64
			}
			reply, err := stream.Decode(ctx, decodeRequest(shape, values))
			if err != nil {
				log.Fatal(err)
			}
			replies[row] = reply
		}()
	}
	together.Wait()
	var largest int64
	for _, reply := range replies {
		largest = max(largest, reply.GetTiming().GetBatchRows())
	}
	fmt.Printf("decoded: %d rows of shape %v\n", len(replies), replies[0].GetData().GetShape()[1:])
	fmt.Printf("largest batch: %d rows\n", largest)
}

// failing shows that the failure of one call is its own.
func failing(ctx context.Context, stream *sharedstream.Stream) {
	late, cancel := context.WithTimeout(ctx, time.Microsecond)
	defer cancel()
	unwanted, abort := context.WithCancel(ctx)
	time.AfterFunc(100*time.Microsecond, abort)
	_, err := stream.Decode(ctx, decodeRequest([]int64{3, 3, 3}, make([]float32, 27)))
	fmt.Println("wrong:", status.Code(err))
	_, err = stream.Sample(late, &vaev1.SampleRequest{Count: 1})
	fmt.Println("late:", status.Code(err))
	_, err = stream.Sample(unwanted, &vaev1.SampleRequest{Count: 1})
	fmt.Println("cancelled:", status.Code(err))
}

// decodeRequest asks for one row. A tensor holds its elements in C order, little-endian.
func decodeRequest(shape []int64, values []float32) *vaev1.DecodeRequest {
	var data []byte
	for _, value := range values {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(value))
	}
	latent := &vaev1.Tensor{Dtype: vaev1.DataType_DATA_TYPE_FLOAT32, Shape: append([]int64{1}, shape...), Data: data}
	return &vaev1.DecodeRequest{Input: &vaev1.DecodeRequest_Latent{Latent: latent}}
}

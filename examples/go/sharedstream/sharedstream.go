// Package sharedstream sends the concurrent calls of one process over one CallStream, where a call costs the server far
// less.
//
// Each message sent holds all calls that have gathered since the last one. Each call keeps its own deadline,
// cancellation, error and retries.
package sharedstream

import (
	"context"
	"errors"
	"io"
	"math/rand"
	"runtime"
	"sync"
	"time"

	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"vaeserve.example/vaev1"
)

const (
	attempts       = 5       // as many as gRPC makes of a unary call
	messageBytes   = 1 << 20 // calls share messages of about this size; a larger call has its own message
	cancelledLimit = 1 << 16 // ids in a message; a server refuses a message with more
)

var errClosed = status.Error(codes.Canceled, "the shared stream is closed")

// Stream makes calls of every verb, over one stream at a time. A stream that breaks is opened again by the next call.
type Stream struct {
	client  vaev1.VaeServiceClient
	ctx     context.Context
	cancel  context.CancelFunc
	mu      sync.Mutex
	current *oneStream
}

// New returns a shared stream, which is opened by its first call. The outgoing metadata of ctx is sent when a stream
// begins; a token belongs there. Cancelling ctx closes it.
func New(ctx context.Context, client vaev1.VaeServiceClient) *Stream {
	// Without this class, calls of a stream are bulk and give way to unary calls.
	ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(ctx, "vae-class", "interactive"))
	return &Stream{client: client, ctx: ctx, cancel: cancel}
}

// Close ends the stream. Calls in progress fail with Canceled.
func (s *Stream) Close() { s.cancel() }

// Encode is VaeServiceClient.Encode over the stream.
func (s *Stream) Encode(ctx context.Context, request *vaev1.EncodeRequest) (*vaev1.EncodeResponse, error) {
	reply, err := s.call(ctx, &vaev1.Call{Request: &vaev1.Call_Encode{Encode: request}})
	return reply.GetEncode(), err
}

// Decode is VaeServiceClient.Decode over the stream.
func (s *Stream) Decode(ctx context.Context, request *vaev1.DecodeRequest) (*vaev1.DecodeResponse, error) {
	reply, err := s.call(ctx, &vaev1.Call{Request: &vaev1.Call_Decode{Decode: request}})
	return reply.GetDecode(), err
}

// Sample is VaeServiceClient.Sample over the stream.
func (s *Stream) Sample(ctx context.Context, request *vaev1.SampleRequest) (*vaev1.SampleResponse, error) {
	reply, err := s.call(ctx, &vaev1.Call{Request: &vaev1.Call_Sample{Sample: request}})
	return reply.GetSample(), err
}

// Reconstruct is VaeServiceClient.Reconstruct over the stream.
func (s *Stream) Reconstruct(ctx context.Context, request *vaev1.ReconstructRequest) (*vaev1.ReconstructResponse, error) {
	reply, err := s.call(ctx, &vaev1.Call{Request: &vaev1.Call_Reconstruct{Reconstruct: request}})
	return reply.GetReconstruct(), err
}

// call makes a call. It is repeated if the stream breaks: a call with a seed, or without noise, has the same answer again.
func (s *Stream) call(ctx context.Context, call *vaev1.Call) (*vaev1.Reply, error) {
	for attempt := 1; ; attempt++ {
		reply, err := s.open().call(ctx, call)
		if code := status.Code(err); attempt == attempts || (code != codes.Unavailable && code != codes.Canceled) {
			return reply, err
		}
		pause := min(200*time.Millisecond<<(attempt-1), 2*time.Second)
		select {
		case <-time.After(time.Duration(float64(pause) * (0.8 + 0.4*rand.Float64()))):
		case <-ctx.Done():
			return nil, err
		case <-s.ctx.Done():
			return nil, errClosed
		}
	}
}

func (s *Stream) open() *oneStream {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil || s.current.isOver() {
		ctx, cancel := context.WithCancel(s.ctx)
		s.current = &oneStream{ctx: ctx, cancel: cancel, waiting: map[uint64]*pending{}, wake: make(chan struct{}, 1)}
		go s.current.run(s.client)
	}
	return s.current
}

// pending is a call that waits for its answer.
type pending struct {
	message  *vaev1.Call
	deadline time.Time
	isSent   bool
	done     chan outcome
}

type outcome struct {
	reply *vaev1.Reply
	err   error
}

// oneStream is one stream, until it breaks.
type oneStream struct {
	ctx       context.Context
	cancel    context.CancelFunc
	wake      chan struct{} // there may be something to send
	mu        sync.Mutex
	lastID    uint64
	waiting   map[uint64]*pending
	unsent    []*pending
	cancelled []uint64
	err       error // why the stream is over
}

func (o *oneStream) isOver() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err != nil
}

// call sends a call and waits for its reply.
func (o *oneStream) call(ctx context.Context, call *vaev1.Call) (*vaev1.Reply, error) {
	waits, err := o.add(ctx, call)
	if err != nil {
		return nil, err
	}
	select {
	case result := <-waits.done:
		return result.reply, result.err
	case <-ctx.Done():
		o.forget(waits)
		return nil, status.FromContextError(ctx.Err()).Err()
	}
}

func (o *oneStream) add(ctx context.Context, call *vaev1.Call) (*pending, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return nil, o.err
	}
	o.lastID++
	waits := &pending{message: &vaev1.Call{Id: o.lastID, Request: call.Request}, done: make(chan outcome, 1)}
	waits.deadline, _ = ctx.Deadline()
	o.waiting[o.lastID] = waits
	o.unsent = append(o.unsent, waits)
	o.wakeWriter()
	return waits, nil
}

// forget gives a call up. If the server has it, it need not go on with it.
func (o *oneStream) forget(call *pending) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, ok := o.waiting[call.message.Id]; ok && call.isSent {
		o.cancelled = append(o.cancelled, call.message.Id)
		o.wakeWriter()
	}
	delete(o.waiting, call.message.Id)
}

func (o *oneStream) wakeWriter() {
	select {
	case o.wake <- struct{}{}:
	default: // it has been woken already
	}
}

// run opens the stream and reads replies until it breaks.
func (o *oneStream) run(client vaev1.VaeServiceClient) {
	defer o.cancel()
	stream, err := client.CallStream(o.ctx)
	if err != nil {
		o.fail(err)
		return
	}
	go o.write(stream)
	for {
		message, err := stream.Recv()
		for _, reply := range message.GetReplies() {
			if err == nil {
				err = o.settle(reply)
			}
		}
		if err != nil {
			o.fail(endOfStream(err, stream.Trailer()))
			return
		}
	}
}

// write sends one message at a time. While the server does not read, Send blocks, and calls gather.
func (o *oneStream) write(stream vaev1.VaeService_CallStreamClient) {
	for {
		select {
		case <-o.wake:
		case <-o.ctx.Done():
			return
		}
		runtime.Gosched() // callers who were answered together send their next calls together
		for message := o.take(); message != nil; message = o.take() {
			if stream.Send(message) != nil {
				return // run hears why
			}
		}
	}
}

// take returns the next message to send; nil if there is none.
func (o *oneStream) take() *vaev1.CallStreamRequest {
	o.mu.Lock()
	defer o.mu.Unlock()
	message := &vaev1.CallStreamRequest{AnyOrder: true}
	count := min(len(o.cancelled), cancelledLimit)
	message.CancelledIds, o.cancelled = o.cancelled[:count], o.cancelled[count:]
	for size := 0; len(o.unsent) > 0; o.unsent = o.unsent[1:] {
		call := o.unsent[0]
		if o.waiting[call.message.Id] == nil {
			continue // given up before it was sent
		}
		size += proto.Size(call.message)
		if len(message.Calls) > 0 && size > messageBytes {
			break
		}
		if !call.deadline.IsZero() {
			call.message.TimeoutMicroseconds = max(1, time.Until(call.deadline).Microseconds())
		}
		call.isSent = true
		message.Calls = append(message.Calls, call.message)
	}
	if len(message.Calls) == 0 && count == 0 {
		return nil
	}
	return message
}

// settle gives a call its answer. An error is that of the whole stream.
func (o *oneStream) settle(reply *vaev1.Reply) error {
	var err error
	if failed := reply.GetError(); failed != nil {
		details := &rpcstatus.Status{Code: failed.Code, Message: failed.Message, Details: failed.Details}
		err = status.FromProto(details).Err()
	} else if reply.Result == nil {
		err = status.Error(codes.Unknown, "the reply has no answer that this client knows")
	}
	if reply.Id == 0 {
		return err // the server could not read a message, so nobody knows which calls it held
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if call := o.waiting[reply.Id]; call != nil {
		delete(o.waiting, reply.Id)
		call.done <- outcome{reply, err}
	}
	return nil
}

func (o *oneStream) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.err = err
	for _, call := range o.waiting {
		call.done <- outcome{err: err}
	}
	clear(o.waiting)
}

// endOfStream returns the failure of each call that a stream left without an answer.
func endOfStream(err error, trailer metadata.MD) error {
	if errors.Is(err, io.EOF) {
		return status.Error(codes.Unavailable, "the stream ended too early")
	}
	if status.Code(err) == codes.Internal && len(trailer) == 0 { // cut by a proxy
		return status.Error(codes.Unavailable, status.Convert(err).Message())
	}
	return err
}

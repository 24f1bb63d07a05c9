#include "tests/integration/raw_call.h"

#include <chrono>
#include <memory>
#include <vector>

#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>

namespace cacheclip {
namespace {

grpc::ByteBuffer ToBuffer(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

std::string ToBytes(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (buffer.Valid() && buffer.Dump(&slices).ok())
    for (const grpc::Slice& slice : slices)
      bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return bytes;
}

}  // namespace

RawReply CallRaw(const std::string& target, const std::string& method, const std::string& request_bytes) {
  grpc::GenericStub stub(grpc::CreateChannel(target, grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
  grpc::CompletionQueue queue;
  void* tag = nullptr;
  bool ok = false;
  const auto step = [&] { return queue.Next(&tag, &ok); };
  const auto call = stub.PrepareCall(&context, method, &queue);
  call->StartCall(nullptr);
  step();
  call->WriteLast(ToBuffer(request_bytes), grpc::WriteOptions(), nullptr);
  step();
  RawReply reply;
  grpc::ByteBuffer response;
  call->Read(&response, nullptr);
  step();
  if (ok) reply.bytes = ToBytes(response);
  while (ok) {  // drain, so that the status comes
    grpc::ByteBuffer rest;
    call->Read(&rest, nullptr);
    step();
  }
  call->Finish(&reply.status, nullptr);
  step();
  return reply;
}

}  // namespace cacheclip

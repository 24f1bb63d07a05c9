"""Asks a CacheClip server one question over two chunks given by text: python3 generate.py [host:port]"""
import sys
import grpc
from cacheclip.v1 import generation_pb2 as pb, generation_pb2_grpc as rpc

channel = grpc.insecure_channel(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:50051")
chunks = ["The lighthouse at Marrow Point was completed in 1887.", "The Grindle Tunnel is 1,386 metres long."]
request = pb.GenerateRequest(namespace_name="default", prompt="When was the lighthouse completed?",
                             chunks=[pb.ChunkInput(text=pb.ChunkInput.Text(text=chunk)) for chunk in chunks])
for event in rpc.GenerationServiceStub(channel).Generate(request, timeout=60):
  print(event.token.text if event.HasField("token") else f"\n{event}", end="", flush=True)

#include "common/rpc/call_observer.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>
#include <utility>

#include <grpcpp/server_context.h>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/time/time.h"
#include "common/base/logging.h"

namespace cacheclip {
namespace {

using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::Interceptor;
using grpc::experimental::InterceptorBatchMethods;
using grpc::experimental::ServerInterceptorFactoryInterface;
using grpc::experimental::ServerRpcInfo;

constexpr size_t kMaxLoggedMetadataBytes = 128;

// One call from its first byte to its status.
class FinishedCall {
 public:
  // gRPC names methods "/package.Service/Method".
  explicit FinishedCall(ServerRpcInfo* info)
      : method_(info->method() + 1), start_(std::chrono::steady_clock::now()) {}

  absl::Duration duration() const { return absl::FromChrono(std::chrono::steady_clock::now() - start_); }
  const std::string& method() const { return method_; }

 private:
  const std::string method_;
  const std::chrono::steady_clock::time_point start_;
};

std::string CodeName(const grpc::Status& status) {
  return absl::StatusCodeToString(static_cast<absl::StatusCode>(status.error_code()));
}

class MetricsInterceptor : public Interceptor {
 public:
  MetricsInterceptor(ServerRpcInfo* info, Metrics* metrics) : call_(info), metrics_(metrics) {}
  void Intercept(InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS))
      metrics_->RecordRpc(call_.method(), CodeName(methods->GetSendStatus()), call_.duration());
    methods->Proceed();
  }

 private:
  const FinishedCall call_;
  Metrics* const metrics_;
};

class LogInterceptor : public Interceptor {
 public:
  explicit LogInterceptor(ServerRpcInfo* info) : call_(info), info_(info) {}
  void Intercept(InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS))
      Log(methods->GetSendStatus());
    methods->Proceed();
  }

 private:
  std::string Metadata(const char* label, const char* key) const {
    const auto& metadata = info_->server_context()->client_metadata();
    const auto found = metadata.find(key);
    if (found == metadata.end()) return "";
    return label + std::string(found->second.data(), std::min(found->second.size(), kMaxLoggedMetadataBytes));
  }

  void Log(const grpc::Status& status) const {
    CACHECLIP_LOG(Info) << call_.method() << " " << CodeName(status) << " "
                        << absl::ToInt64Milliseconds(call_.duration()) << " ms"
                        << Metadata(" request=", "x-request-id") << Metadata(" trace=", "traceparent")
                        << (status.ok() ? "" : " " + status.error_message());
  }

  const FinishedCall call_;
  ServerRpcInfo* const info_;
};

class MetricsInterceptorFactory : public ServerInterceptorFactoryInterface {
 public:
  explicit MetricsInterceptorFactory(Metrics* metrics) : metrics_(metrics) {}
  Interceptor* CreateServerInterceptor(ServerRpcInfo* info) override {
    return new MetricsInterceptor(info, metrics_);
  }

 private:
  Metrics* const metrics_;
};

class LogInterceptorFactory : public ServerInterceptorFactoryInterface {
 public:
  Interceptor* CreateServerInterceptor(ServerRpcInfo* info) override {
    // Probes and reflection come every few seconds and say nothing.
    return absl::StartsWith(info->method(), "/grpc.") ? nullptr : new LogInterceptor(info);
  }
};

}  // namespace

std::vector<std::unique_ptr<ServerInterceptorFactoryInterface>> MakeCallObservers(Metrics* metrics) {
  std::vector<std::unique_ptr<ServerInterceptorFactoryInterface>> observers;
  observers.push_back(std::make_unique<LogInterceptorFactory>());
  if (metrics != nullptr) observers.push_back(std::make_unique<MetricsInterceptorFactory>(metrics));
  return observers;
}

}  // namespace cacheclip

#include "common/redis/tls_stream.h"

#include <algorithm>
#include <climits>
#include <utility>

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace cacheclip {
namespace {

// What OpenSSL reads and writes through: our stream, which never raises SIGPIPE and never blocks.
struct Transport {
  std::unique_ptr<ByteStream> stream;
  bool is_closed = false;
};

int Moved(BIO* bio, Transport& transport, const absl::StatusOr<size_t>& moved, void (*set_retry)(BIO*)) {
  BIO_clear_retry_flags(bio);
  if (!moved.ok()) {
    transport.is_closed = true;
    return -1;
  }
  if (*moved == 0) {
    set_retry(bio);
    return -1;
  }
  return static_cast<int>(*moved);
}

int BioRead(BIO* bio, char* out, int num_bytes) {
  auto& transport = *static_cast<Transport*>(BIO_get_data(bio));
  const auto space = std::as_writable_bytes(std::span(out, static_cast<size_t>(std::max(num_bytes, 0))));
  return Moved(bio, transport, transport.stream->Read(space), [](BIO* b) { BIO_set_retry_read(b); });
}

int BioWrite(BIO* bio, const char* bytes, int num_bytes) {
  auto& transport = *static_cast<Transport*>(BIO_get_data(bio));
  return Moved(bio, transport, transport.stream->Write({bytes, static_cast<size_t>(std::max(num_bytes, 0))}),
               [](BIO* b) { BIO_set_retry_write(b); });
}

long BioControl(BIO* /*bio*/, int command, long /*number*/, void* /*pointer*/) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

const BIO_METHOD* StreamMethod() {
  static const BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "cacheclip stream");
    BIO_meth_set_read(made, BioRead);
    BIO_meth_set_write(made, BioWrite);
    BIO_meth_set_ctrl(made, BioControl);
    BIO_meth_set_create(made, [](BIO* bio) {
      BIO_set_init(bio, 1);
      return 1;
    });
    return made;
  }();
  return method;
}

std::string LastTlsError() {
  const unsigned long error = ERR_get_error();
  if (error == 0) return "the connection was closed";
  const char* reason = ERR_reason_error_string(error);
  return reason != nullptr ? reason : absl::StrCat("error ", error);
}

class TlsStream : public ByteStream {
 public:
  TlsStream(std::unique_ptr<ByteStream> stream, const TlsContext& context)
      : transport_{std::move(stream)}, ssl_(SSL_new(context.get())) {
    BIO* bio = BIO_new(StreamMethod());
    BIO_set_data(bio, &transport_);
    SSL_set_bio(ssl_, bio, bio);
    SSL_set_mode(ssl_, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  }
  ~TlsStream() override { SSL_free(ssl_); }

  absl::Status Handshake(const std::string& host, absl::Time deadline) {
    CACHECLIP_RETURN_IF_ERROR(ExpectHost(host));
    while (true) {
      ERR_clear_error();
      const int result = SSL_connect(ssl_);
      if (result == 1) return absl::OkStatus();
      switch (SSL_get_error(ssl_, result)) {
        case SSL_ERROR_WANT_READ:
          CACHECLIP_RETURN_IF_ERROR(WaitForStream(fd(), /*for_writing=*/false, deadline));
          break;
        case SSL_ERROR_WANT_WRITE:
          CACHECLIP_RETURN_IF_ERROR(WaitForStream(fd(), /*for_writing=*/true, deadline));
          break;
        default:
          return HandshakeError();
      }
    }
  }

  absl::StatusOr<size_t> Read(std::span<std::byte> out) override {
    ERR_clear_error();
    const int count = SSL_read(ssl_, out.data(), static_cast<int>(std::min<size_t>(out.size(), INT_MAX)));
    return MovedOrError(count, "reading");
  }

  absl::StatusOr<size_t> Write(std::string_view bytes) override {
    ERR_clear_error();
    const int count =
        SSL_write(ssl_, bytes.data(), static_cast<int>(std::min<size_t>(bytes.size(), INT_MAX)));
    return MovedOrError(count, "writing");
  }

  int fd() const override { return transport_.stream->fd(); }

 private:
  absl::Status ExpectHost(const std::string& host) {
    in6_addr address;
    const bool is_ip =
        inet_pton(AF_INET, host.c_str(), &address) == 1 || inet_pton(AF_INET6, host.c_str(), &address) == 1;
    const bool is_set =
        is_ip ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_), host.c_str()) == 1
              : SSL_set1_host(ssl_, host.c_str()) == 1 && SSL_set_tlsext_host_name(ssl_, host.c_str()) == 1;
    return is_set ? absl::OkStatus() : absl::InternalError("TLS: the host cannot be verified");
  }

  absl::Status HandshakeError() {
    const long verification = SSL_get_verify_result(ssl_);
    if (verification != X509_V_OK)
      return absl::UnauthenticatedError(absl::StrCat("TLS: the server's certificate does not verify: ",
                                                     X509_verify_cert_error_string(verification)));
    return absl::UnavailableError(absl::StrCat("TLS handshake: ", LastTlsError()));
  }

  absl::StatusOr<size_t> MovedOrError(int count, std::string_view what) {
    if (count > 0) return static_cast<size_t>(count);
    const int error = SSL_get_error(ssl_, count);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return 0;
    // With TLS 1.3 a server says only after the handshake that it wants a certificate, or another one.
    const std::string reason = error == SSL_ERROR_ZERO_RETURN ? "the server closed it" : LastTlsError();
    const bool is_certificate = reason.find("certificate") != std::string::npos;
    return absl::Status(is_certificate ? absl::StatusCode::kUnauthenticated : absl::StatusCode::kUnavailable,
                        absl::StrCat("TLS, ", std::string(what), ": ", reason));
  }

  Transport transport_;
  SSL* const ssl_;
};

}  // namespace

absl::StatusOr<std::shared_ptr<const TlsContext>> TlsContext::Make(const RedisTlsOptions& options) {
  ERR_clear_error();
  auto context = std::shared_ptr<const TlsContext>(new TlsContext(SSL_CTX_new(TLS_client_method())));
  SSL_CTX* ssl = context->get();
  SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
  SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, nullptr);
  const bool has_authorities =
      options.ca_file.empty() ? SSL_CTX_set_default_verify_paths(ssl) == 1
                              : SSL_CTX_load_verify_locations(ssl, options.ca_file.c_str(), nullptr) == 1;
  if (!has_authorities)
    return InvalidField("tls.ca_file", absl::StrCat(options.ca_file, " cannot be used: ", LastTlsError()));
  if (options.certificate_file.empty()) return context;
  if (SSL_CTX_use_certificate_chain_file(ssl, options.certificate_file.c_str()) != 1)
    return InvalidField("tls.certificate_file",
                        absl::StrCat(options.certificate_file, " cannot be used: ", LastTlsError()));
  if (SSL_CTX_use_PrivateKey_file(ssl, options.key_file.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(ssl) != 1)
    return InvalidField("tls.key_file", absl::StrCat(options.key_file, " cannot be used: ", LastTlsError()));
  return context;
}

TlsContext::~TlsContext() { SSL_CTX_free(context_); }

absl::StatusOr<std::unique_ptr<ByteStream>> StartTls(std::unique_ptr<ByteStream> stream,
                                                     const TlsContext& context, const std::string& host,
                                                     absl::Time deadline) {
  auto tls = std::make_unique<TlsStream>(std::move(stream), context);
  CACHECLIP_RETURN_IF_ERROR(tls->Handshake(host, deadline));
  return tls;
}

}  // namespace cacheclip

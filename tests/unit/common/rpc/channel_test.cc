#include "common/rpc/channel.h"

#include <gtest/gtest.h>

#include "common/base/status.h"

namespace cacheclip {
namespace {

TEST(Channel, IsMadeWithoutAServer) {
  const auto channel = MakeChannel({.target = "127.0.0.1:1"});
  ASSERT_TRUE(channel.ok()) << channel.status();
  EXPECT_NE(*channel, nullptr);
}

TEST(Channel, NamesTheTlsFileItCannotRead) {
  ChannelOptions options{.target = "127.0.0.1:1"};
  options.tls = {.enabled = true, .ca_file = "/no/such/file"};
  EXPECT_EQ(FieldOf(MakeChannel(options).status()), "tls_ca");
  options.tls = {.enabled = true, .certificate_file = "/no/such/file"};
  EXPECT_EQ(FieldOf(MakeChannel(options).status()), "tls_client_key");
}

TEST(Channel, ReadsNoTlsFilesForPlaintext) {
  ChannelOptions options{.target = "127.0.0.1:1"};
  options.tls = {.enabled = false, .ca_file = "/no/such/file"};
  EXPECT_TRUE(MakeChannel(options).ok());
}

}  // namespace
}  // namespace cacheclip

#include "common/redis/byte_stream.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "tests/support/redis_server.h"
#include "tests/support/scripted_server.h"

namespace cacheclip {
namespace {

absl::Time Soon() { return absl::Now() + absl::Seconds(30); }

TEST(ByteStream, MovesBytesBothWaysWithoutWaiting) {
  ScriptedServer server([](ScriptedConnection& connection) {
    const std::string received = connection.Receive();
    connection.Send(received + "!");
    connection.Receive();
  });
  const auto stream = ConnectTcp({"127.0.0.1", server.port()}, Soon());
  ASSERT_TRUE(stream.ok()) << stream.status();
  std::array<std::byte, 10> buffer;
  EXPECT_EQ((*stream)->Read(buffer).value(), 0) << "nothing there yet";
  EXPECT_EQ((*stream)->Write("abc").value(), 3);
  ASSERT_TRUE(WaitForStream((*stream)->fd(), /*for_writing=*/false, Soon()).ok());
  EXPECT_TRUE(HasInput((*stream)->fd()));
  EXPECT_EQ((*stream)->Read(buffer).value(), 4);
  EXPECT_FALSE(HasInput((*stream)->fd()));
  EXPECT_TRUE(absl::IsDeadlineExceeded(WaitForStream((*stream)->fd(), false, absl::Now())));
}

TEST(ByteStream, ClosedConnectionIsUnavailable) {
  ScriptedServer server([](ScriptedConnection&) {});
  const auto stream = ConnectTcp({"localhost", server.port()}, Soon());
  ASSERT_TRUE(stream.ok()) << stream.status();
  ASSERT_TRUE(WaitForStream((*stream)->fd(), false, Soon()).ok());
  std::array<std::byte, 10> buffer;
  EXPECT_TRUE(absl::IsUnavailable((*stream)->Read(buffer).status()));
}

TEST(ByteStream, RefusedAndUnknownAreUnavailable) {
  EXPECT_TRUE(absl::IsUnavailable(ConnectTcp({"127.0.0.1", FreePort()}, Soon()).status()));
  const absl::Status unknown = ConnectTcp({"no-such-host.invalid", 1}, Soon()).status();
  EXPECT_TRUE(absl::IsUnavailable(unknown) || absl::IsDeadlineExceeded(unknown)) << unknown;
  EXPECT_TRUE(absl::StrContains(unknown.message(), "no-such-host.invalid"));
}

}  // namespace
}  // namespace cacheclip

#include "common/store/object/credentials.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <string>

#include "common/base/status.h"
#include "tests/support/object_harness.h"

namespace cacheclip {
namespace {

constexpr char kFile[] = R"(# comment
[default]
aws_access_key_id = default-id
aws_secret_access_key=default-secret

[ other ]
aws_access_key_id=other-id
aws_secret_access_key = other=secret
aws_session_token = other-token
region = nowhere
[half]
aws_access_key_id = x
)";

class CredentialsTest : public testing::Test {
 protected:
  CredentialsTest() { Write(kFile); }
  void Write(const std::string& text) { std::ofstream(path_) << text; }
  CredentialsOptions Options(std::map<std::string, std::string> variables) {
    CredentialsOptions options;
    options.environment = TestEnvironment(std::move(variables));
    options.clock = &clock_;
    return options;
  }
  std::string IdFrom(CredentialsOptions options) {
    const auto provider = MakeCredentialsProvider(std::move(options));
    return provider.ok() ? (*provider)->Get(NoDeadline()).value().access_key_id : "";
  }

  TempFolder folder_;
  const std::string path_ = folder_.path() + "/credentials";
  FakeClock clock_;
};

TEST_F(CredentialsTest, SettingsGoBeforeTheEnvironmentAndItBeforeTheSharedFile) {
  const std::map<std::string, std::string> keys = {{"AWS_ACCESS_KEY_ID", "env-id"},
                                                   {"AWS_SECRET_ACCESS_KEY", "s"},
                                                   {"AWS_SHARED_CREDENTIALS_FILE", path_}};
  EXPECT_EQ(IdFrom(Options(keys)), "env-id");
  CredentialsOptions with_profile = Options(keys);
  with_profile.profile = "other";
  EXPECT_EQ(IdFrom(with_profile), "other-id");
  EXPECT_EQ(IdFrom(Options({{"AWS_SHARED_CREDENTIALS_FILE", path_}})), "default-id");
  EXPECT_EQ(IdFrom(Options({{"AWS_SHARED_CREDENTIALS_FILE", path_}, {"AWS_PROFILE", "other"}})), "other-id");
}

TEST_F(CredentialsTest, ReadsEveryPartOfAProfile) {
  const Credentials credentials = ParseCredentialsFile(kFile, "other").value();
  EXPECT_EQ(credentials.secret_access_key, "other=secret");
  EXPECT_EQ(credentials.session_token, "other-token");
  EXPECT_TRUE(absl::IsNotFound(ParseCredentialsFile(kFile, "absent").status()));
  EXPECT_TRUE(absl::IsNotFound(ParseCredentialsFile(kFile, "half").status()));
  EXPECT_TRUE(absl::IsNotFound(ParseCredentialsFile("[", "x").status()));
}

TEST_F(CredentialsTest, MissingOnesNameTheSetting) {
  EXPECT_EQ(FieldOf(MakeCredentialsProvider(Options({})).status()), "s3_credentials");
  EXPECT_EQ(FieldOf(MakeCredentialsProvider(Options({{"AWS_ACCESS_KEY_ID", "x"}})).status()),
            "s3_credentials");
  CredentialsOptions absent = Options({});
  absent.credentials_file = folder_.path() + "/absent";
  const auto provider = MakeCredentialsProvider(absent);
  ASSERT_TRUE(provider.ok());
  const absl::Status status = (*provider)->Get(NoDeadline()).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_EQ(FieldOf(status), "s3_credentials_file");
}

TEST_F(CredentialsTest, AChangedFileIsReadAgainAfterAMinute) {
  CredentialsOptions options = Options({});
  options.credentials_file = path_;
  const auto provider = MakeCredentialsProvider(options).value();
  EXPECT_EQ(provider->Get(NoDeadline())->access_key_id, "default-id");
  Write("[default]\naws_access_key_id=rotated\naws_secret_access_key=s\n");
  EXPECT_EQ(provider->Get(NoDeadline())->access_key_id, "default-id");
  clock_.Advance(kCredentialsFileLifetime);
  EXPECT_EQ(provider->Get(NoDeadline())->access_key_id, "rotated");
}

TEST_F(CredentialsTest, SourcesAreNamedWithoutSecrets) {
  const auto provider = MakeCredentialsProvider(Options({{"AWS_SHARED_CREDENTIALS_FILE", path_}})).value();
  const std::string source = provider->Get(NoDeadline())->source;
  EXPECT_NE(source.find(path_), std::string::npos);
  EXPECT_EQ(source.find("default-secret"), std::string::npos);
}

}  // namespace
}  // namespace cacheclip

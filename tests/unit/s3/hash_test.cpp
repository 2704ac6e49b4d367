#include "s3/hash.h"

#include <gtest/gtest.h>

#include <array>

namespace spillway::s3 {
namespace {

TEST(Hash, KnowsThePublishedDigests) {
  EXPECT_EQ(to_hex(sha256("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(to_hex(sha256("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const Bytes abc = bytes_of("abc");
  EXPECT_EQ(to_hex(md5(Pieces(&abc, 1))), "900150983cd24fb0d6963f7d28e17f72");
  EXPECT_EQ(to_hex(md5({})), "d41d8cd98f00b204e9800998ecf8427e");
  EXPECT_EQ(to_hex(hmac_sha256(bytes_of("Jefe"), "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(Hash, ReadsPiecesAsOne) {
  const std::array<Bytes, 4> pieces = {bytes_of("a"), bytes_of(""), bytes_of("b"), bytes_of("c")};
  EXPECT_EQ(sha256(pieces), sha256("abc"));
}

TEST(Hash, WritesBase64WithPadding) {
  EXPECT_EQ(to_base64(bytes_of("")), "");
  EXPECT_EQ(to_base64(bytes_of("f")), "Zg==");
  EXPECT_EQ(to_base64(bytes_of("fo")), "Zm8=");
  EXPECT_EQ(to_base64(bytes_of("foo")), "Zm9v");
  EXPECT_EQ(to_base64(bytes_of("foobar")), "Zm9vYmFy");
}

TEST(Hash, HasherBeginsAnewAfterEachDigest) {
  const auto hasher = make_hashing()->make_sha256();
  hasher->update(bytes_of("ab"));
  hasher->update(bytes_of("c"));
  EXPECT_EQ(hasher->finish_hex(), to_hex(sha256("abc")));
  EXPECT_EQ(hasher->finish_hex(), to_hex(sha256("")));
}

TEST(Hash, WipesWhatTheStringHeld) {
  std::string secret = "a secret that is longer than any small-string buffer";
  const char* const memory = secret.data();
  wipe(secret);
  EXPECT_TRUE(secret.empty());
  EXPECT_EQ(memory, secret.data());
  EXPECT_EQ(std::string(memory, 1), std::string(1, '\0'));
}

}  // namespace
}  // namespace spillway::s3

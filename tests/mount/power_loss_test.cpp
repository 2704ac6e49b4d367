// Power loss under the real program: its shadow lies on a disk that forgets what was not synced.
// Writers are busy while B2 is not well, the power goes, the program is started again, B2 is well
// again: then every promise must be there and whole, in B2.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <list>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/mount/busy_writer.h"
#include "tests/mount/promise_file.h"
#include "tests/support/forgetful_disk.h"
#include "tests/support/mounted.h"

namespace spillway {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr int kWriters = 3;

// How B2 is not well.
enum class Outage : std::uint8_t {
  refuses_large,  // at the third part, and now and then another file
  refuses_all,    // a large one at any part or at its end
  dies,           // in the middle
};
constexpr std::uint64_t kOutages = 3;
constexpr std::uint64_t kRounds = 2 * kOutages;

std::string text_of(const std::vector<std::string>& lines) {
  std::string text;
  for (const auto& line : lines) text += line + "\n";
  return text;
}

// A computer with the program on it, whose shadow is on the disk that forgets.
class Computer {
 public:
  // `options` are more of mount's.
  explicit Computer(std::vector<std::string> options)
      : mounted_({.arguments = all_options(std::move(options)), .environment = {}, .without = {}}) {
  }

  [[nodiscard]] Mounted& mounted() { return mounted_; }
  [[nodiscard]] B2Sim& server() { return mounted_.server(); }
  [[nodiscard]] const ForgetfulDisk& disk() const { return disk_; }
  [[nodiscard]] PromiseFile& promises() { return promises_; }

  BusyWriter& add_writer(const std::string& directory, std::uint64_t seed) {
    fs::create_directories(mounted_ / directory);
    return writers_.emplace_back(mounted_.root(), directory, promises_, seed);
  }
  [[nodiscard]] std::list<BusyWriter>& writers() { return writers_; }

  void kill_program() {
    mounted_.process().send_signal(SIGKILL);
    ASSERT_EQ(mounted_.process().wait(), 128 + SIGKILL);
  }
  // After both, with no file open on the mount any more, disk and program can be started again.
  void clean_up() {
    const auto ended = mounted_.command({"umount", mounted_.root()});
    ASSERT_EQ(ended.exit_code, 0) << ended.errors;
    ASSERT_FALSE(disk_.has_power());
    disk_.restore_power();
  }
  void lose_power(std::uint64_t loss) {
    disk_.cut_power(loss);
    kill_program();
    clean_up();
  }

  // With B2 well: brings everything there, and mounts with nothing left on the disk, so that what
  // is read afterwards comes from B2.
  void drain_and_forget_the_shadow() {
    const auto drained = mounted_.command({"drain", "--timeout", "30s", mounted_.root()});
    ASSERT_EQ(drained.exit_code, 0) << drained.errors << drained.output;
    ASSERT_EQ(mounted_.unmount(), 0);
    fs::remove_all(shadow());
    mounted_.mount();
  }

  [[nodiscard]] std::vector<std::string> broken_promises() {
    return promises_.broken(mounted_.root());
  }

 private:
  // Made by the program, with its parent: those names must last as well.
  [[nodiscard]] fs::path shadow() const { return disk_ / "state/shadow"; }
  std::vector<std::string> all_options(std::vector<std::string> options) const {
    options.insert(options.end(), {"--shadow", shadow(), "--part-size", "5MiB"});
    return options;
  }

  ForgetfulDisk disk_;
  Mounted mounted_;
  TempDirectory elsewhere_;
  PromiseFile promises_{elsewhere_ / "promises"};
  std::list<BusyWriter> writers_;
};

// Other rounds than the usual ones: SPILLWAY_POWER_LOSS_SEED=N.
std::uint64_t first_seed() {
  const char* chosen = std::getenv("SPILLWAY_POWER_LOSS_SEED");
  return chosen == nullptr ? 1 : std::strtoull(chosen, nullptr, 10);
}

class PowerLoss : public testing::Test {
 protected:
  void SetUp() override {
    if (!can_mount()) GTEST_SKIP() << "/dev/fuse is not there, or not for this user";
  }

  static constexpr std::uint64_t kStrictLoss = 0;

  static std::vector<std::string> impatient() {
    return {"--retry-for", "50ms", "--name-retry-for", "50ms", "--cooldown", "100ms"};
  }

  // B2 stays away, and nothing but what the writer does moves the disk.
  static std::vector<std::string> without_probes() {
    return {"--retry-for", "50ms", "--name-retry-for", "50ms", "--cooldown", "1h"};
  }

  static void refuse(const B2Sim& server, const nlohmann::json& match, double rate) {
    server.add_fault({{"match", match},
                      {"times", -1},
                      {"rate", rate},
                      {"fault", {{"status", 503}, {"code", "InternalError"}}}});
  }
  static void refuse_files(const B2Sim& server) { refuse(server, {{"kind", "PutObject"}}, 1); }

  static void begin(Outage outage, const B2Sim& server) {
    if (outage == Outage::refuses_large) {
      refuse(server, {{"kind", "UploadPart"}, {"part", 3}}, 1);
      refuse(server, {{"kind", "PutObject"}}, 0.1);
    } else if (outage == Outage::refuses_all) {
      refuse_files(server);
      refuse(server, {{"kind", "UploadPart"}}, 0.5);
      refuse(server, {{"kind", "CompleteMultipartUpload"}}, 1);
    }
  }

  static void end(Outage outage, B2Sim& server) {
    if (outage == Outage::dies) {
      server.start();
    } else {
      server.clear_faults();
    }
  }

  // Before anything else has failed: later ones go to the shadow whole.
  static std::string write_split(Computer& computer, std::uint64_t seed) {
    std::string name = "split" + std::to_string(seed);
    EXPECT_TRUE(computer.writers().front().create(name, BusyWriter::kLarge, BusyWriter::Fsync::no));
    return name;
  }

  // Writers at work until the power goes at a moment of chance. Where B2 still takes files the
  // program must not outlive its disk: a version that B2 took then leaves an older one in the
  // shadow, which comes back as the other side of a conflict.
  static void work_until_power_loss(Computer& computer, Outage outage, std::uint64_t seed) {
    std::mt19937_64 chance(seed);
    const auto sleep = [&chance](unsigned most) {
      std::this_thread::sleep_for(milliseconds(chance() % most));
    };
    std::atomic<bool> stop = false;
    std::vector<std::jthread> threads;
    for (auto& writer : computer.writers()) {
      threads.emplace_back([&writer, &stop] { writer.run(stop); });
    }
    sleep(200);
    if (outage == Outage::dies) computer.server().kill();
    std::this_thread::sleep_for(milliseconds(200));
    sleep(600);
    const std::uint64_t loss = chance() % 2 == 0 ? kStrictLoss : seed;
    if (outage != Outage::refuses_large) {
      computer.disk().cut_power(loss);
      sleep(20);  // the program sees its disk fail
    }
    stop = true;
    computer.kill_program();
    if (outage == Outage::refuses_large) computer.disk().cut_power(loss);
    threads.clear();  // joined: their files are closed
    computer.clean_up();
  }

  // Again while the drain is at work.
  static void lose_power_while_draining(Computer& computer, std::uint64_t seed) {
    std::this_thread::sleep_for(milliseconds(seed * 7919 % 400));
    computer.lose_power(seed);
    computer.mounted().mount();
  }

  static std::vector<std::string> round(Computer& computer, std::uint64_t seed) {
    const auto outage = static_cast<Outage>(seed % kOutages);
    begin(outage, computer.server());
    if (outage == Outage::refuses_large) (void)write_split(computer, seed);
    work_until_power_loss(computer, outage, seed);
    end(outage, computer.server());
    computer.mounted().mount();
    if (seed % 2 == 0) lose_power_while_draining(computer, seed);
    computer.drain_and_forget_the_shadow();
    return computer.broken_promises();
  }

  static void add_writers(Computer& computer, std::uint64_t seed) {
    for (int number = 0; number < kWriters; ++number) {
      const auto name = std::to_string(number);
      computer.add_writer("w" + name + "/below" + name, seed * kWriters + number);
    }
  }

  static auto count(Computer& computer, const std::string& storage) {
    return std::ranges::count_if(computer.mounted().log("upload"), [&](const auto& line) {
      return line.value("storage", "") == storage;
    });
  }
};

TEST_F(PowerLoss, EveryPromiseIsKept) {
  Computer computer(impatient());
  const std::uint64_t first = first_seed();
  add_writers(computer, first);
  for (std::uint64_t seed = first; seed < first + kRounds; ++seed) {
    const auto broken = round(computer, seed);
    ASSERT_TRUE(broken.empty()) << "seed " << seed << "\n" << text_of(broken);
  }
  auto promised = computer.promises().kept_count();
  for (const char* how : {"create", "fsync", "overwrite", "rename", "remove"}) {
    EXPECT_GT(promised[how], 0) << how << ": nothing was promised";
  }
  for (const char* storage : {"b2", "local", "split"}) {
    EXPECT_GT(count(computer, storage), 0) << "no file was " << storage;
  }
}

// B2 holds the head of a split file in an unfinished upload, which must stay as long as the file.
TEST_F(PowerLoss, ADeleteThatTheDiskRefusesLosesNoHead) {
  Computer computer(impatient());
  auto& writer = computer.add_writer("w", 5);
  begin(Outage::refuses_large, computer.server());
  const std::string name = write_split(computer, 1);
  ASSERT_EQ(count(computer, "split"), 1);
  computer.disk().cut_power();
  EXPECT_FALSE(writer.remove(name));
  std::this_thread::sleep_for(milliseconds(300));
  EXPECT_EQ(computer.server().requests()["AbortMultipartUpload"], 0);
  computer.kill_program();
  computer.clean_up();
  end(Outage::refuses_large, computer.server());
  computer.mounted().mount();
  computer.drain_and_forget_the_shadow();
  const auto broken = computer.broken_promises();
  EXPECT_TRUE(broken.empty()) << text_of(broken);
}

// The proof that the tests above would notice.
TEST_F(PowerLoss, ADiskThatLiesIsCaught) {
  for (const char* skipped : {"files", "directories"}) {
    Computer computer(impatient());
    add_writers(computer, 2);
    computer.disk().skip_syncs(skipped);
    EXPECT_FALSE(round(computer, 1).empty()) << skipped;
    EXPECT_GT(computer.promises().kept_count()["create"], 0);
  }
}

// Each of the syncs behind one close() is needed: without it the file is lost.
TEST_F(PowerLoss, EverySkippedSyncIsCaught) {
  Computer computer(without_probes());
  auto& writer = computer.add_writer("skipped", 3);
  refuse_files(computer.server());
  std::uint64_t needed = 0;
  const auto broken_without = [&](std::uint64_t nth) {
    computer.disk().skip_syncs(std::to_string(nth));
    const std::uint64_t before = computer.disk().syncs();
    EXPECT_TRUE(writer.create("without" + std::to_string(nth), 5'000, BusyWriter::Fsync::no));
    needed = computer.disk().syncs() - before;
    computer.lose_power(kStrictLoss);
    computer.mounted().mount();
    return computer.broken_promises();
  };
  constexpr std::uint64_t kNone = 0;
  ASSERT_EQ(text_of(broken_without(kNone)), "");
  ASSERT_GE(needed, 4U) << "the bytes, their name, the record, its name";
  for (std::uint64_t nth = 1; nth <= needed; ++nth) {
    EXPECT_EQ(broken_without(nth).size(), nth) << "one more file is lost";
  }
}

// At each point where something has become durable.
TEST_F(PowerLoss, AfterEverySync) {
  Computer computer(without_probes());
  auto& writer = computer.add_writer("steps", 4);
  refuse_files(computer.server());
  using Fsync = BusyWriter::Fsync;
  bool is_complete = false;
  for (std::uint64_t syncs = 1; !is_complete; ++syncs) {
    const std::string name = "n" + std::to_string(syncs);
    computer.disk().cut_power_after(syncs);
    is_complete = writer.create(name + "a", 5'000, Fsync::no) &&
                  writer.create(name + "b", 5'000, Fsync::in_the_middle) &&
                  writer.rename(name + "b", name + "a") && writer.remove(name + "a");
    computer.lose_power(kStrictLoss);
    computer.mounted().mount();
    const auto broken = computer.broken_promises();
    ASSERT_TRUE(broken.empty()) << "after sync " << syncs << "\n" << text_of(broken);
    ASSERT_LT(syncs, 100U);
  }
  computer.server().clear_faults();
  ASSERT_EQ(computer.mounted().unmount(), 0);
  computer.mounted().mount();
  computer.drain_and_forget_the_shadow();
  const auto broken = computer.broken_promises();
  EXPECT_TRUE(broken.empty()) << text_of(broken);
}

}  // namespace
}  // namespace spillway

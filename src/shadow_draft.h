// The draft as the shadow sees it: a file in drafts/ that is charged for what it holds, and that is
// frozen once a record may name it.
//
// Not for several threads at once, as the interface says.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "src/directory_sync.h"
#include "src/shadow.h"
#include "src/shadow_space.h"
#include "src/shadow_stock.h"

namespace spillway {

class LocalDraft final : public ShadowDraft {
 public:
  // `directory` is that of drafts/. The references outlive the draft.
  LocalDraft(Disk& disk, ShadowSpace& space, DirectorySync& directory, StockPair files);
  ~LocalDraft() override;
  LocalDraft(const LocalDraft&) = delete;
  LocalDraft& operator=(const LocalDraft&) = delete;

  Result<> write(std::uint64_t offset, std::span<const std::byte> bytes) override;
  Result<std::size_t> read(std::uint64_t offset, std::span<std::byte> bytes) override;
  Result<> truncate(std::uint64_t size) override;

  [[nodiscard]] const std::string& id() const { return id_; }
  // Fails once the draft was published: its bytes are the record's.
  [[nodiscard]] Result<> check_unpublished() const;
  // Bytes and name are durable on return. A failure is final for the bytes: they must be written
  // to another draft.
  Result<> sync();
  Result<std::uint64_t> size() { return file_->size(); }
  [[nodiscard]] std::uint64_t charged() const { return charged_; }
  // The empty file for its record; once only, nothing the second time.
  [[nodiscard]] StockFile take_record_file() { return std::move(record_); }

  // A record names it: the file stays, and so does its charge, which is the record's now.
  void published();
  // The file was moved to where nothing counts or removes it.
  void set_aside();
  // A record may name it after a crash, although nobody was told so: nothing may change it any
  // more, nor remove it. It may still be published.
  void distrust() { distrusted_ = true; }

 private:
  [[nodiscard]] Result<> check_changeable() const;
  // Bytes of [from, to) that were never written.
  [[nodiscard]] std::uint64_t uncovered(std::uint64_t from, std::uint64_t to) const;
  void cover(std::uint64_t from, std::uint64_t to);
  void uncover_from(std::uint64_t offset);

  Disk& disk_;
  ShadowSpace& space_;
  DirectorySync& directory_;
  const std::string id_;
  std::unique_ptr<DiskFile> file_;
  std::optional<DirectorySync::Ticket> named_;  // until the name is durable
  StockFile record_;
  std::map<std::uint64_t, std::uint64_t> covered_;  // start to end; apart from each other
  std::uint64_t charged_ = 0;
  bool published_ = false;
  bool distrusted_ = false;
};

}  // namespace spillway

#include "s3/stall_watch.h"

#include <algorithm>

namespace spillway::s3 {

Duration StallWatch::interval() const {
  return std::clamp<Duration>(stall_ / 4, std::chrono::milliseconds(10), std::chrono::seconds(1));
}

bool StallWatch::is_stalled(Instant now, std::optional<std::uint64_t> count) {
  looked_at_ = now;
  if (!count || count != count_) moved_at_ = now;
  count_ = count;
  return now - moved_at_ > stall_;
}

}  // namespace spillway::s3

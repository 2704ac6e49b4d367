// The HTTP server: accepts on 127.0.0.1, one thread a connection, requests one after another.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace b2sim {

class Service;

struct ListenOptions {
  std::uint16_t port = 0;        // 0: any that is free
  std::string certificate_file;  // both set: TLS
  std::string key_file;
};

class Server {
 public:
  virtual ~Server() = default;
  [[nodiscard]] virtual std::uint16_t port() const = 0;
  // Accepts until stop(), which any thread may call once; then ends every connection.
  virtual void run() = 0;
  virtual void stop() = 0;
};

// Listens when it returns; throws std::exception when it can't.
[[nodiscard]] std::unique_ptr<Server> make_server(const ListenOptions& options, Service& service);

}  // namespace b2sim

// b2sim: a stand-in for Backblaze B2's S3-compatible API. See README.md beside this file.
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/b2sim/server.h"
#include "tests/b2sim/service.h"

namespace {

struct CommandLine {
  b2sim::ListenOptions listen;
  b2sim::Settings settings;
  std::string root;
  std::string port_file;
  std::vector<std::string> buckets;
  std::string access_key = "b2sim-access-key";
  std::string secret_key = "b2sim-secret-key";
};

void add_server_options(CLI::App& app, CommandLine& line) {
  app.add_option("--port", line.listen.port, "Port on 127.0.0.1; 0: any that is free");
  app.add_option("--port-file", line.port_file, "Write the port into this file");
  app.add_option("--root", line.root, "Directory that keeps everything")->required();
  app.add_option("--bucket", line.buckets, "Create this bucket (repeatable)");
  app.add_option("--access-key", line.access_key, "Key with all capabilities")
      ->envname("B2SIM_ACCESS_KEY");
  app.add_option("--secret-key", line.secret_key, "Its secret")->envname("B2SIM_SECRET_KEY");
  app.add_option("--region", line.settings.region, "Region that requests must be signed for");
  app.add_flag("--quiet", line.settings.quiet, "No line for each request");
  auto* certificate = app.add_option("--tls-cert", line.listen.certificate_file, "PEM; serve TLS");
  auto* key = app.add_option("--tls-key", line.listen.key_file, "PEM; serve TLS");
  certificate->needs(key);
  key->needs(certificate);
}

void add_limit_options(CLI::App& app, b2sim::Limits& limits) {
  app.add_option("--parts-min", limits.parts.smallest, "Smallest part but the last, bytes");
  app.add_option("--fewest-parts", limits.parts.fewest, "Fewest parts of an upload");
  app.add_option("--largest-put", limits.largest_put, "Largest single PUT, bytes");
  app.add_option("--largest-part", limits.largest_part, "Largest part, bytes");
  app.add_option("--largest-copy", limits.largest_copy, "Largest source of CopyObject, bytes");
  app.add_option("--metadata-bytes", limits.metadata_bytes, "Most bytes of key and metadata");
  app.add_option("--metadata-headers", limits.metadata_headers, "Most metadata headers");
  app.add_option("--page", limits.page, "Most entries of one page of any list");
  app.add_flag("--require-md5", limits.require_md5, "Demand Content-MD5, as Object Lock does");
  app.add_flag("!--no-directory-markers", limits.directory_markers, "Refuse keys that end in /");
}

// Before any thread starts, so that all inherit it: only main() takes the signals.
sigset_t block_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return signals;
}

void announce(const CommandLine& line, std::uint16_t port) {
  std::printf("listening on 127.0.0.1:%u\n", port);
  std::fflush(stdout);
  if (line.port_file.empty()) return;
  const std::string side = line.port_file + ".new";
  std::ofstream(side) << port << "\n";
  std::filesystem::rename(side, line.port_file);
}

void serve(const CommandLine& line) {
  const sigset_t signals = block_signals();
  b2sim::Store store(line.root);
  for (const std::string& bucket : line.buckets) store.create_bucket(bucket);
  b2sim::Service service(line.settings, store);
  service.keys().put({line.access_key, line.secret_key, b2sim::all_capabilities(), "", ""});
  const auto server = b2sim::make_server(line.listen, service);
  announce(line, server->port());
  const std::jthread runner([&server] { server->run(); });
  int signal = 0;
  sigwait(&signals, &signal);
  server->stop();
}

}  // namespace

int main(int argc, char** argv) {
  CommandLine line;
  CLI::App app("A stand-in for Backblaze B2's S3-compatible API");
  add_server_options(app, line);
  add_limit_options(app, line.settings.limits);
  CLI11_PARSE(app, argc, argv);
  try {
    serve(line);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "b2sim: %s\n", error.what());
    return 1;
  }
  return 0;
}

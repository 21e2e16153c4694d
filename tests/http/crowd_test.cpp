// Ten thousand at once.
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <array>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <spawn.h>
#include <support/http_calls.hpp>
#include <support/process.hpp>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace crowd_test {

using namespace chainmail;
using namespace chainmail::test;

namespace {

/// The simulator as a process of its own: both ends of 10,000 connections are too many files for
/// one.
class simulator_process {
public:
  explicit simulator_process(const std::filesystem::path& program, const char* latency) {
    int out[2];
    REQUIRE(pipe2(out, O_CLOEXEC) == 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    auto path = program.string();
    std::string option = std::string{"--latency="} + latency;
    std::array<char*, 3> arguments{path.data(), option.data(), nullptr};
    REQUIRE(posix_spawn(&id_, path.c_str(), &actions, nullptr, arguments.data(), environ) == 0);
    posix_spawn_file_actions_destroy(&actions);
    close(out[1]);
    std::string line(512, '\0');
    auto size = read(out[0], line.data(), line.size()); // one line, written at once
    close(out[0]);
    line.resize(size > 0 ? static_cast<size_t>(size) : 0);
    auto start = line.find("http://");
    REQUIRE(start != std::string::npos);
    base_url = line.substr(start, line.find_first_of(" \n", start) - start);
  }
  simulator_process(const simulator_process&) = delete;
  simulator_process& operator=(const simulator_process&) = delete;
  ~simulator_process() {
    kill(id_, SIGKILL);
    waitpid(id_, nullptr, 0);
  }

  std::string base_url;

private:
  pid_t id_ = 0;
};

} // namespace

TEST_CASE("ten thousand calls are in flight at once, and ten thousand more after them", "[long]") {
  constexpr size_t crowd = 10'000;
  auto program =
      std::filesystem::read_symlink("/proc/self/exe").parent_path() / "chainmail-simulator";
  if (!std::filesystem::exists(program))
    SKIP(program.string() + " is not built");
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  if (files.rlim_cur < crowd + 500)
    SKIP("only " + std::to_string(files.rlim_cur) + " files may be open");
  simulator_process server{program, "1s"};
  http_options options;
  options.max_in_flight = crowd;
  auto before = open_files();
  {
    engine_room room{options};
    auto request = post(server.base_url + "/completions", R"({"model":"m","prompt":"x"})");
    for (const auto* wave : {"cold", "warm"}) {
      auto start = clock::now();
      auto calls = room.fetch_all(std::vector<http_job>(crowd, {request, due_in(60s * slowness)}));
      auto ok = std::count_if(calls.begin(), calls.end(),
          [](auto& call) { return call.answer() && call.answer()->status == 200; });
      auto took = std::chrono::duration<double>{clock::now() - start};
      INFO(wave << ": " << took.count() << " s");
      CHECK(ok == crowd);
      // One after the other they would take hours; in groups of a thousand, ten seconds.
      CHECK(took < 8s * slowness);
    }
    auto stats = room.fetch(get(server.base_url.substr(0, server.base_url.size() - 3) + "/stats"));
    CHECK(stats.response().body.find("\"most_in_flight\":10000") != std::string::npos);
    CHECK(stats.response().body.find("\"connections_accepted\":10000") != std::string::npos);
  }
  CHECK(eventually([&] { return open_files() <= before; }));
}

} // namespace crowd_test

#include "support/temporary_folder.hpp"
#include "vectors.hpp"

#include <chainmail/errors.hpp>
#include <chainmail/retrieval/vector_index.hpp>

#include <caf/expected.hpp>
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstring>
#include <random>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

namespace vector_index_file_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

constexpr auto everything = SIZE_MAX;

vector_index index_of(size_t count, uint32_t dimension, size_t exact_up_to = everything) {
  vector_index result{exact_up_to};
  REQUIRE_FALSE(result.add(ids_from(1, count), vector_source{dimension, false}.make(count)));
  result.link(count);
  return result;
}

caf::expected<vector_index> load(const std::string& path, size_t exact_up_to = everything) {
  uint64_t mark = 0;
  return vector_index::load(path, mark, exact_up_to);
}

/// The bytes of a file with a small graph in it, some of whose vectors were removed.
std::string small_file(const temporary_folder& folder) {
  auto index = index_of(40, 4, 0);
  index.remove(ids_from(7, 3));
  REQUIRE_FALSE(index.save(folder.path("small"), 77));
  return read_file(folder.path("small"));
}

/// The same bytes with their checksum put right.
std::string with_sum(std::string bytes) {
  auto size = bytes.size() - 4;
  auto sum =
      static_cast<uint32_t>(crc32_z(0, reinterpret_cast<const unsigned char*>(bytes.data()), size));
  std::memcpy(&bytes[size], &sum, 4);
  return bytes;
}

bool search_works(const vector_index& index) {
  for (auto& query : {std::vector{1.0F, 2.0F, 3.0F, 4.0F}, std::vector{-1.0F, 0.0F, 0.0F, 1.0F}})
    if (index.dimension() == 4 &&
        index.nearest(query, 5)->size() != std::min<size_t>(5, index.size()))
      return false;
  return true;
}

} // namespace

TEST_CASE("an index comes back from its file as it was") {
  struct kind {
    size_t exact_up_to;
    size_t linked;
  };
  for (auto [exact_up_to, linked] : {kind{everything, 0}, kind{0, 300}, kind{0, 200}}) {
    temporary_folder folder;
    vector_source source{24, false};
    vector_index index{exact_up_to};
    REQUIRE_FALSE(index.add(ids_from(5, 300), source.make(300)));
    index.link(linked);
    index.remove(ids_from(100, 50));
    REQUIRE_FALSE(index.save(folder.path("v"), 0xabcdef0123456789));
    uint64_t mark = 0;
    auto loaded = vector_index::load(folder.path("v"), mark, exact_up_to);
    REQUIRE(loaded);
    CHECK(mark == 0xabcdef0123456789);
    CHECK(loaded->size() == 250);
    CHECK(loaded->dimension() == 24);
    CHECK(loaded->model() == "m");
    CHECK(loaded->is_exact() == index.is_exact());
    CHECK(loaded->unlinked() == index.unlinked());
    CHECK(loaded->ids() == index.ids());
    for (int i = 0; i < 20; ++i) {
      auto query = source.make(1);
      auto before = index.nearest(query.numbers, 10);
      auto after = loaded->nearest(query.numbers, 10);
      CHECK(std::equal(before->begin(), before->end(), after->begin(), after->end(),
          [](auto& x, auto& y) { return x.id == y.id && x.score == y.score; }));
    }
    CHECK_FALSE(loaded->add(ids_from(305, 100), source.make(100)));
    CHECK(loaded->nearest(source.make(1).numbers, 1000)->size() == 350);
  }
}

TEST_CASE("an index without vectors can be saved, and still takes no ID again") {
  temporary_folder folder;
  auto index = index_of(3, 4);
  index.remove(index.ids());
  REQUIRE_FALSE(index.save(folder.path("v"), 1));
  auto loaded = load(folder.path("v"));
  REQUIRE(loaded);
  CHECK(loaded->size() == 0);
  CHECK(loaded->add(ids_from(3, 1), rows_of(1, {1})) == errc::invalid_input);
  CHECK_FALSE(loaded->add(ids_from(4, 1), rows_of(1, {1})));
}

TEST_CASE("a loaded index has the graph that it needs, whether one was saved or not") {
  temporary_folder folder;
  REQUIRE_FALSE(index_of(200, 4).save(folder.path("exact"), 1));
  REQUIRE_FALSE(index_of(200, 4, 0).save(folder.path("graph"), 1));
  for (auto name : {"exact", "graph"})
    CHECK(load(folder.path(name))->is_exact());
  CHECK(load(folder.path("exact"), 100)->unlinked() == 200);
  CHECK(load(folder.path("graph"), 100)->unlinked() == 0);
}

TEST_CASE("saving where that is impossible says so, and leaves the old file") {
  temporary_folder folder;
  auto index = index_of(3, 4);
  auto error = index.save(folder.path("none/v"), 1);
  CHECK(error == errc::internal);
  CHECK(sentence_of(error).find(folder.path("none/v")) != std::string::npos);
  CHECK(load(folder.path("v")).error() == errc::not_found);
}

// -- broken files -----------------------------------------------------------------------------

TEST_CASE("a vector file that was cut anywhere is refused") {
  temporary_folder folder;
  auto bytes = small_file(folder);
  for (size_t size = 0; size < bytes.size(); ++size) {
    write_file(folder.path("v"), bytes.substr(0, size));
    auto loaded = load(folder.path("v"));
    REQUIRE_FALSE(loaded);
    REQUIRE(loaded.error() == errc::malformed_response);
  }
  write_file(folder.path("v"), bytes + '\0');
  auto loaded = load(folder.path("v"));
  REQUIRE_FALSE(loaded);
  CHECK(sentence_of(loaded.error()).find(folder.path("v")) != std::string::npos);
  CHECK(sentence_of(loaded.error()).find("index the documents again") != std::string::npos);
}

TEST_CASE("a vector file in which any bit was flipped is refused") {
  temporary_folder folder;
  auto bytes = small_file(folder);
  for (size_t i = 0; i < bytes.size(); ++i) {
    auto changed = bytes;
    changed[i] = static_cast<char>(changed[i] ^ (1 << (i % 8)));
    write_file(folder.path("v"), changed);
    auto loaded = load(folder.path("v"));
    REQUIRE_FALSE(loaded);
    REQUIRE(loaded.error() == errc::malformed_response);
  }
}

TEST_CASE("a vector file made to deceive, with a right checksum, is refused or harmless") {
  temporary_folder folder;
  auto bytes = small_file(folder);
  std::mt19937 random{11};
  size_t refused = 0;
  for (size_t i = 0; i < bytes.size() - 4; ++i) {
    auto changed = bytes;
    for (auto byte : {'\xff', '\x7f', static_cast<char>(random())}) {
      changed[i] = byte;
      write_file(folder.path("v"), with_sum(changed));
      auto loaded = load(folder.path("v"), 0);
      if (!loaded)
        ++refused;
      else
        REQUIRE(search_works(*loaded));
    }
  }
  CHECK(refused > bytes.size());
}

TEST_CASE("sizes in a vector file that exceed it are refused before memory is asked for") {
  temporary_folder folder;
  auto bytes = small_file(folder);
  for (size_t field : {12U, 16U, 20U, 24U, 28U, 32U, 40U, 48U, 56U})
    for (uint64_t number :
        {uint64_t{1} << 31U, uint64_t{1} << 40U, uint64_t{1} << 62U, UINT64_MAX}) {
      auto changed = bytes;
      std::memcpy(&changed[field], &number, sizeof number);
      write_file(folder.path("v"), with_sum(changed));
      auto loaded = load(folder.path("v"), 0);
      if (loaded) // the mark, the last ID and the unused field may be anything
        CHECK(search_works(*loaded));
    }
}

TEST_CASE("what is no vector file is refused") {
  temporary_folder folder;
  write_file(folder.path("empty"), "");
  write_file(folder.path("text"), std::string(1000, 'x'));
  auto newer = small_file(folder);
  newer[8] = 2;
  write_file(folder.path("newer"), with_sum(newer));
  for (auto name : {"empty", "text", "newer", ""}) {
    auto loaded = load(folder.path(name));
    REQUIRE_FALSE(loaded);
    CHECK(loaded.error() == errc::malformed_response);
  }
  CHECK(sentence_of(load(folder.path("newer")).error()).find("version") != std::string::npos);
}

// -- sudden ends --------------------------------------------------------------------------------

TEST_CASE("a process killed while it saves leaves a whole file") {
  temporary_folder folder;
  auto path = folder.path("v");
  auto one = index_of(300, 64);
  auto two = index_of(600, 64);
  REQUIRE_FALSE(one.save(path, 300));
  std::mt19937 random{std::random_device{}()};
  std::array<size_t, 2> seen{};
  for (int round = 0; round < 20; ++round) {
    int saved[2];
    REQUIRE(pipe(saved) == 0);
    auto child = fork();
    if (child == 0) {
      for (;;) {
        auto failed = two.save(path, 600) || one.save(path, 300);
        if (failed || write(saved[1], "x", 1) != 1)
          _exit(1);
      }
    }
    REQUIRE(child > 0);
    close(saved[1]);
    char ignored = 0;
    CHECK(read(saved[0], &ignored, 1) == 1); // it is at work now
    auto until = std::chrono::steady_clock::now() + std::chrono::microseconds{random() % 5000};
    while (std::chrono::steady_clock::now() < until) {
    }
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    close(saved[0]);
    CHECK(WIFSIGNALED(status));
    uint64_t mark = 0;
    auto loaded = vector_index::load(path, mark, everything);
    REQUIRE(loaded);
    CHECK(loaded->size() == mark);
    ++seen[mark == 300 ? 0 : 1];
  }
  CHECK(seen[0] + seen[1] == 20);
}

} // namespace vector_index_file_test

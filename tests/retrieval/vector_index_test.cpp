#include "vectors.hpp"

#include <chainmail/errors.hpp>
#include <chainmail/retrieval/dot_product.hpp>
#include <chainmail/retrieval/vector_index.hpp>

#include <caf/expected.hpp>
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <limits>

namespace vector_index_test {

using namespace chainmail;
using namespace chainmail::test;

namespace {

using id_list = std::vector<uint64_t>;

id_list ids_of(const std::vector<vector_match>& found) {
  id_list result;
  for (const auto& match : found)
    result.push_back(match.id);
  return result;
}

id_list ids_of(const caf::expected<std::vector<vector_match>>& found) {
  REQUIRE(found);
  return ids_of(*found);
}

/// A fan of directions: 10 is east, 20 is north east, 30 is north, 40 is west.
vector_index fan() {
  vector_index index;
  REQUIRE_FALSE(index.add(id_list{10, 20, 30, 40}, rows_of(2, {5, 0, 3, 3, 0, 0.1F, -2, 0})));
  return index;
}

/// How many of the ten nearest of `queries` queries are found, as a share.
double recall(
    const vector_index& index, const vector_index& exact, vector_source& source, size_t queries) {
  size_t hits = 0;
  for (size_t i = 0; i < queries; ++i) {
    auto query = source.make(1);
    auto found = ids_of(index.nearest(query.numbers, 10));
    for (auto id : ids_of(exact.nearest(query.numbers, 10)))
      hits += std::find(found.begin(), found.end(), id) != found.end() ? 1 : 0;
  }
  return static_cast<double>(hits) / static_cast<double>(10 * queries);
}

void check_recall(size_t count, uint32_t dimension, bool in_clusters) {
  vector_source source{dimension, in_clusters};
  auto rows = source.make(count);
  auto ids = ids_from(1, count);
  vector_index exact{count};
  vector_index graph{0};
  REQUIRE_FALSE(exact.add(ids, rows));
  REQUIRE_FALSE(graph.add(ids, rows));
  CHECK(graph.unlinked() == count);
  graph.link(count);
  REQUIRE(exact.is_exact());
  REQUIRE_FALSE(graph.is_exact());
  auto share = recall(graph, exact, source, 100);
  INFO("recall at 10: " << share);
  CHECK(share >= 0.98);
}

} // namespace

// -- finding ------------------------------------------------------------------------------

TEST_CASE("dot products are right for every length") {
  auto numbers = vector_source{200, false}.make(2).numbers;
  for (size_t size = 0; size <= 200; ++size) {
    double expected = 0;
    for (size_t i = 0; i < size; ++i)
      expected += double{numbers[i]} * double{numbers[i + 200]};
    CHECK(
        dot_product(numbers.data(), &numbers[200], size) == Catch::Approx(expected).margin(0.0001));
  }
}

TEST_CASE("the nearest vectors come best first, with their cosine similarity") {
  auto index = fan();
  auto found = index.nearest(std::vector{1.0F, 0.1F}, 3);
  CHECK(ids_of(found) == id_list{10, 20, 30});
  CHECK((*found)[0].score == Catch::Approx(0.99504));
  CHECK((*found)[2].score == Catch::Approx(0.0995037));
  CHECK(ids_of(index.nearest(std::vector{-1.0F, 0.0F}, 100)) == id_list{40, 30, 20, 10});
  CHECK(ids_of(index.nearest(std::vector{1.0F, 0.0F}, 0)).empty());
}

TEST_CASE("equal vectors come in the order of their IDs") {
  vector_index index;
  REQUIRE_FALSE(index.add(ids_from(1, 5), rows_of(1, {1, 2, -1, 3, 4})));
  CHECK(ids_of(index.nearest(std::vector{1.0F}, 3)) == id_list{1, 2, 4});
}

TEST_CASE("a search among allowed vectors misses none of them") {
  auto index = fan();
  index.remove(id_list{20});
  std::vector east{1.0F, 0.0F};
  CHECK(ids_of(index.nearest_of(id_list{20, 30, 35, 40}, east, 3)) == id_list{30, 40});
  CHECK(ids_of(index.nearest_of({}, east, 3)).empty());
}

TEST_CASE("marginal relevance takes the best first, then weighs variety") {
  vector_index index;
  // 2 is almost 1, and 3 lies aside.
  REQUIRE_FALSE(
      index.add(ids_from(1, 4), rows_of(3, {1, 0.1F, 0, 1, 0.11F, 0, 0.7F, 0, 0.7F, -1, 0, 0})));
  auto found = index.nearest(std::vector{1.0F, 0.0F, 0.0F}, 4);
  CHECK(ids_of(found) == id_list{1, 2, 3, 4});
  CHECK(ids_of(index.diverse(*found, 2, 0.5)) == id_list{1, 3});
  CHECK(ids_of(index.diverse(*found, 2, 1)) == id_list{1, 2});
  CHECK(ids_of(index.diverse(*found, 2, 0)) == id_list{1, 4});
  CHECK(ids_of(index.diverse(*found, 9, 0.5)).size() == 4);
  CHECK(index.diverse(*found, 2, 0.5)[1].score == (*found)[2].score);
  CHECK(index.diverse({}, 2, 0.5).empty());
}

TEST_CASE("a graph of 5,000 vectors finds nearly all that is nearest") {
  check_recall(5000, 64, false);
  check_recall(5000, 64, true);
}

TEST_CASE("a graph of 20,000 vectors of noise finds 98 of 100 that are nearest", "[long]") {
  check_recall(20'000, 256, false);
}

TEST_CASE("a graph of 20,000 clustered vectors finds 98 of 100 that are nearest", "[long]") {
  check_recall(20'000, 256, true);
}

// -- changing ------------------------------------------------------------------------------

TEST_CASE("vectors that cannot be compared are refused, and nothing is added") {
  auto index = fan();
  auto refused = [&index](const id_list& ids, embeddings rows, std::string model = "m") {
    rows.model = std::move(model);
    auto error = index.add(ids, rows);
    CHECK(error == errc::invalid_input);
    CHECK(index.size() == 4);
    return sentence_of(error);
  };
  CHECK(refused({50}, rows_of(3, {1, 2, 3})).find("3") != std::string::npos);
  CHECK(refused({50}, rows_of(2, {1, 2}), "other").find("index the documents again") !=
        std::string::npos);
  CHECK(refused({50, 60}, rows_of(2, {1, 2, 0, 0})).find("index 1") != std::string::npos);
  auto infinity = std::numeric_limits<float>::infinity();
  refused({50}, rows_of(2, {1, infinity}));
  refused({50}, rows_of(2, {1, std::numeric_limits<float>::quiet_NaN()}));
  refused({50}, rows_of(2, {1, 2, 3}));
  refused({50}, rows_of(0, {}));
  refused({50, 60}, rows_of(2, {1, 2}));
  refused({}, rows_of(2, {1, 2}));
  refused({40}, rows_of(2, {1, 2}));
  refused({50, 50}, rows_of(2, {1, 2, 3, 4}));
  CHECK_FALSE(index.add({}, rows_of(2, {})));
  CHECK_FALSE(index.add({}, {}));
}

TEST_CASE("queries that cannot be compared are refused") {
  auto index = fan();
  CHECK(index.nearest(std::vector{1.0F}, 1).error() == errc::invalid_input);
  CHECK(index.nearest(std::vector{0.0F, 0.0F}, 1).error() == errc::invalid_input);
  CHECK(index.nearest({}, 1).error() == errc::invalid_input);
  CHECK(vector_index{}.nearest(std::vector{1.0F}, 1)->empty());
}

TEST_CASE("vectors of tiny and of huge numbers keep their direction") {
  vector_index index;
  REQUIRE_FALSE(index.add(ids_from(1, 2), rows_of(2, {1e-30F, 0, 0, 3e38F})));
  auto found = index.nearest(std::vector{0.0F, 1e-20F}, 1);
  CHECK(ids_of(found) == id_list{2});
  CHECK((*found)[0].score == Catch::Approx(1));
}

TEST_CASE("a removed vector is gone, and its ID is never taken again") {
  auto index = fan();
  CHECK(index.remove(id_list{40, 40, 41}) == 1);
  CHECK(index.remove(id_list{40}) == 0);
  CHECK_FALSE(index.contains(40));
  CHECK(index.ids() == id_list{10, 20, 30});
  CHECK(ids_of(index.nearest(std::vector{-1.0F, 0.0F}, 9)).size() == 3);
  CHECK(index.add(id_list{40}, rows_of(2, {1, 0})) == errc::invalid_input);
  CHECK(index.remove(id_list{10, 20, 30}) == 3);
  CHECK(index.add(id_list{40}, rows_of(2, {1, 0})) == errc::invalid_input);
}

TEST_CASE("a model's name reaches no terminal as it came") {
  vector_index index;
  auto rows = rows_of(2, {1, 0});
  REQUIRE(!index.add(ids_from(1, 1), rows));
  rows.model = "\x1b[2J" + std::string(1000, 'm');
  auto said = sentence_of(index.check(rows));
  CHECK(said.find('\x1b') == std::string::npos);
  CHECK(said.size() < 500);
}

TEST_CASE("an index that lost all its vectors takes another model") {
  auto index = fan();
  index.remove(index.ids());
  CHECK(index.size() == 0);
  CHECK(index.dimension() == 0);
  auto rows = rows_of(3, {1, 2, 3});
  rows.model = "other";
  CHECK_FALSE(index.add(id_list{50}, rows));
  CHECK(index.model() == "other");
}

TEST_CASE("an index that is linked in part finds the nearest of both parts") {
  vector_source source{16, false};
  vector_index linked{100};
  vector_index exact{1'000};
  auto rows = source.make(600);
  REQUIRE_FALSE(linked.add(ids_from(1, 600), rows));
  REQUIRE_FALSE(exact.add(ids_from(1, 600), rows));
  CHECK(linked.is_exact());
  for (size_t left : {600U, 400U, 200U, 0U}) {
    CHECK(linked.unlinked() == left);
    CHECK(recall(linked, exact, source, 20) >= 0.98);
    linked.link(200);
  }
  CHECK_FALSE(linked.is_exact());
  CHECK(exact.unlinked() == 0);
}

TEST_CASE("a graph does not find what was removed, also while more than half is dropped") {
  vector_source source{16, false};
  vector_index index{100};
  REQUIRE_FALSE(index.add(ids_from(1, 300), source.make(300)));
  index.link(300);
  REQUIRE_FALSE(index.is_exact());
  REQUIRE_FALSE(index.add(ids_from(301, 300), source.make(300)));
  index.link(150); // half of them are looked at one by one
  for (uint64_t first = 1; first <= 541; first += 60) {
    CHECK(index.remove(ids_from(first, 30)) == 30);
    auto found = ids_of(index.nearest(source.make(1).numbers, 1000));
    CHECK(found.size() == index.size());
    CHECK(std::none_of(found.begin(), found.end(),
        [first](uint64_t id) { return id >= first && id < first + 30; }));
  }
  CHECK(index.size() == 300);
  index.remove(ids_from(1, 500));
  CHECK(index.is_exact());
  CHECK(index.size() == 60);
}

} // namespace vector_index_test

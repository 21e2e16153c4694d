#include <chainmail/limits/token_bucket.hpp>

#include <catch2/catch_test_macros.hpp>

namespace token_bucket_test {

using namespace chainmail;
using namespace std::literals;

namespace {

constexpr token_bucket::time_point start{1h};

} // namespace

TEST_CASE("a bucket lets its burst go at once and the rest at its rate") {
  token_bucket bucket{60, 60s, 3};
  for (int i = 0; i < 3; ++i) {
    CHECK(bucket.ready_at(1) <= start);
    bucket.take(1, start);
  }
  CHECK(bucket.room(start) == 0);
  CHECK(bucket.ready_at(1) == start + 1s);
  CHECK(bucket.ready_at(2) == start + 2s);
  CHECK(bucket.room(start + 2s) == 2);
  CHECK(bucket.room(start + 1h) == 3);
  CHECK(bucket.done_at(10, start) == start + 10s);
}

TEST_CASE("a cost over the burst waits for a full bucket and leaves a debt") {
  token_bucket bucket{60, 60s, 3};
  bucket.take(1, start);
  CHECK(bucket.ready_at(30) == start + 1s);
  bucket.take(30, start + 1s);
  CHECK(bucket.ready_at(1) == start + 1s + 28s);
}

TEST_CASE("what is given back flows in at once, up to the burst") {
  token_bucket bucket{60, 60s, 3};
  bucket.take(3, start);
  bucket.give_back(2);
  CHECK(bucket.room(start) == 2);
  bucket.give_back(100);
  CHECK(bucket.room(start) == 3);
  token_bucket fresh{60, 60s, 3};
  fresh.give_back(5);
  CHECK(fresh.room(start) == 3);
}

TEST_CASE("costs beyond all reason overflow nothing") {
  token_bucket bucket{1, 60s, 1};
  for (int i = 0; i < 100; ++i)
    bucket.take(INT64_MAX, start);
  CHECK(bucket.ready_at(1) > start + 1h);
  CHECK(bucket.room(start) == 0);
}

} // namespace token_bucket_test

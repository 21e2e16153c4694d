#include <chainmail/llm/token_counter.hpp>
#include <chainmail/llm/token_estimate.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

#include <array>
#include <limits>
#include <random>
#include <thread>
#include <vector>

namespace token_counter_test {

using namespace chainmail;
using namespace std::literals;

namespace {

/// Blanks, words, digits, punctuation, scripts of all lengths, and bytes that are none.
std::string random_text(std::mt19937& random, size_t parts) {
  constexpr std::array<std::string_view, 24> alphabet = {" ", " ", " ", "  ", "\n", "\r\n", "\t",
      "a", "word", "Letters", "camelCase", "1", "2024", ".", ",", "--", "}", "\u00e9", "\u0436",
      "\u6f22", "\u0301", "\U0001F600", "\xff", "\u3000"};
  std::string text;
  for (size_t i = 0; i < parts; ++i)
    text += alphabet[random() % alphabet.size()];
  return text;
}

void teach(token_counter& counter, std::string_view model, double ratio, size_t replies = 40) {
  for (size_t i = 0; i < replies; ++i)
    counter.learn(model, 1000, static_cast<int64_t>(1000 * ratio));
}

} // namespace

TEST_CASE("an estimate is near to what cl100k_base makes of a text") {
  // In comments: tokens of cl100k_base.
  CHECK(estimate_tokens("") == 0);
  CHECK(estimate_tokens("Hello, world!") == 4);                      // 4
  CHECK(estimate_tokens("The quick brown fox jumps over it.") == 8); // 8
  CHECK(estimate_tokens("1234567") == 3);                            // 3
  CHECK(estimate_tokens("        return x;") == 4);                  // 4
  CHECK(estimate_tokens("----------------") == 2);                   // 1
  CHECK(estimate_tokens("getUserName") == 3);                        // 2
  CHECK(estimate_tokens("\u653f\u5e9c\u516c\u5e03\u4e86") == 6);     // 5
}

TEST_CASE("putting texts together or cutting them never makes more tokens") {
  std::mt19937 random{7};
  for (auto i = 0; i < 5000; ++i) {
    auto first = random_text(random, random() % 12);
    auto second = random_text(random, random() % 12);
    auto whole = first + second;
    CAPTURE(first, second);
    auto together = estimate_token_tenths(whole);
    if (is_utf8(whole)) {
      CHECK(together <= estimate_token_tenths(first) + estimate_token_tenths(second));
      CHECK(together >= estimate_token_tenths(first));
      CHECK(together >= estimate_token_tenths(second));
    }
    CHECK(estimate_token_tenths(trimmed(whole)) <= together);
  }
}

TEST_CASE("pieces make up the whole text and end between code points") {
  std::mt19937 random{8};
  for (auto i = 0; i < 300; ++i) {
    auto text = random_text(random, 40);
    std::string_view rest = text;
    size_t tenths = 0;
    while (!rest.empty()) {
      auto piece = next_token_piece(rest);
      REQUIRE(piece.bytes > 0);
      REQUIRE(piece.bytes <= rest.size());
      auto part = rest.substr(0, piece.bytes);
      CHECK((piece.tenths <= 10 || count_code_points(trimmed(part)) == 1));
      CHECK((part.find('\xff') != std::string_view::npos || is_utf8(part)));
      tenths += piece.tenths;
      rest.remove_prefix(piece.bytes);
    }
    CHECK(tenths == estimate_token_tenths(text));
  }
}

TEST_CASE("a counter that has learned nothing counts as the estimate does") {
  token_counter counter;
  auto text = "What is a good name for a company that makes colourful socks?"s;
  CHECK(counter.count(text, "any-model") == estimate_tokens(text));
  CHECK(counter.ratio("any-model") == 1);
}

TEST_CASE("a counter learns a model's own tokens from noisy reports") {
  for (auto truth : {0.3, 0.75, 1.3, 2.5, 3.8}) {
    token_counter counter;
    std::mt19937 random{3};
    std::uniform_real_distribution<double> noise{0.85, 1.15};
    std::uniform_int_distribution<size_t> length{40, 4000};
    for (auto i = 0; i < 100; ++i) {
      auto estimated = length(random);
      counter.learn("m", estimated,
          static_cast<int64_t>(static_cast<double>(estimated) * truth * noise(random)));
    }
    CHECK(counter.ratio("m") == Catch::Approx(truth).epsilon(0.05));
    std::string text(70'000, 'a');
    CHECK(static_cast<double>(counter.count(text, "m")) ==
          Catch::Approx(10'000 * truth).epsilon(0.05));
  }
}

TEST_CASE("eight reports of long prompts come close already") {
  token_counter counter;
  teach(counter, "m", 1.3, 8);
  CHECK(counter.ratio("m") == Catch::Approx(1.3).epsilon(0.05));
}

TEST_CASE("no text is no token, and any text is at least one") {
  token_counter counter;
  teach(counter, "m", 0.25, 100);
  CHECK(counter.count("", "m") == 0);
  CHECK(counter.count("a", "m") == 1);
  CHECK(counter.count("", "unknown") == 0);
}

TEST_CASE("models do not influence each other") {
  token_counter counter;
  teach(counter, "a", 2);
  teach(counter, "b", 0.5);
  CHECK(counter.ratio("a") == Catch::Approx(2).epsilon(0.02));
  CHECK(counter.ratio("b") == Catch::Approx(0.5).epsilon(0.05));
  CHECK(counter.ratio("ab") == 1);
}

TEST_CASE("one absurd report moves the ratio by little, and no number of them past the bounds") {
  for (auto absurd : {int64_t{1}, std::numeric_limits<int64_t>::max()}) {
    token_counter counter;
    teach(counter, "m", 1.3);
    counter.learn("m", 1000, absurd);
    CHECK(counter.ratio("m") == Catch::Approx(1.3).epsilon(0.06));
    for (auto i = 0; i < 1000; ++i)
      counter.learn("m", 1'000'000, absurd);
    CHECK(counter.ratio("m") >= 0.25);
    CHECK(counter.ratio("m") <= 4);
    teach(counter, "m", 1.3, 100);
    CHECK(counter.ratio("m") == Catch::Approx(1.3).epsilon(0.05));
  }
}

TEST_CASE("tiny prompts and replies without usage teach nothing") {
  token_counter counter;
  for (auto i = 0; i < 50; ++i) {
    counter.learn("m", 31, 90);
    counter.learn("m", 1000, 0);
    counter.learn("m", 1000, -5);
    counter.learn("m", 0, 9);
  }
  CHECK(counter.ratio("m") == 1);
}

TEST_CASE("at most 256 models are remembered, and those in use stay") {
  token_counter counter;
  teach(counter, "mine", 2);
  teach(counter, "old", 2);
  for (auto i = 0; i < 1000; ++i) {
    counter.learn("model " + std::to_string(i), 1000, 2000);
    counter.learn("mine", 1000, 2000);
  }
  CHECK(counter.ratio("mine") == Catch::Approx(2).epsilon(0.02));
  CHECK(counter.ratio("old") == 1);
  CHECK(counter.ratio("model 0") == 1);
  CHECK(counter.ratio("model 999") > 1);
  teach(counter, std::string(257, 'x'), 2);
  CHECK(counter.ratio(std::string(257, 'x')) == 1);
}

TEST_CASE("samples are wanted of a model's first replies and of some later ones") {
  token_counter counter;
  std::vector<int> wanted;
  for (auto i = 0; i < 50; ++i)
    if (counter.wants_sample("m"))
      wanted.push_back(i);
  CHECK(wanted == std::vector{0, 1, 2, 3, 4, 5, 6, 7, 16, 32, 48});
  CHECK(counter.wants_sample("another"));
}

TEST_CASE("threads can learn and count at the same time") {
  token_counter counter;
  std::vector<std::thread> threads;
  for (auto t = 0; t < 4; ++t)
    threads.emplace_back([&counter, t] {
      auto own = "model " + std::to_string(t);
      for (auto i = 0; i < 2000; ++i) {
        if (counter.wants_sample(own))
          counter.learn(own, 1000, 1000 + 200 * t);
        counter.learn("common", 1000, 1500);
        counter.learn(own, 1000, 1000 + 200 * t);
        (void)counter.count("some words", own);
      }
    });
  for (auto& thread : threads)
    thread.join();
  for (auto t = 0; t < 4; ++t)
    CHECK(counter.ratio("model " + std::to_string(t)) == Catch::Approx(1 + 0.2 * t).epsilon(0.01));
  CHECK(counter.ratio("common") == Catch::Approx(1.5).epsilon(0.01));
}

TEST_CASE("the process has one shared counter") {
  REQUIRE(token_counter::shared());
  CHECK(token_counter::shared() == token_counter::shared());
}

} // namespace token_counter_test

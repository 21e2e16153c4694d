// What the simulator's brain makes of the prompts that chains send, and of prompts that are none.

#include "simulator/brain.hpp"
#include "simulator/replies.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace brain_test {

using namespace chainmail::simulator;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;

namespace {

const std::string octopus =
    "The octopus is a mollusc with eight arms. It has three hearts and blue blood. Most species "
    "live "
    "on the sea floor, e.g. among rocks.\n\nAn octopus of the Giant Pacific kind lives for about "
    "4.5 years. Dr. Jennifer Mather\nof Lethbridge studied how octopuses play with bottles.";

const std::string limits = R"(# The rate limiter

It counts requests and tokens in a bucket.

- A request that finds no room waits in a queue.
- When the queue is full, the answer is `errc::overloaded`, at once.

## Defaults

| Setting | Value |
|---|---|
| requests per minute | 3500 |
| queue capacity | 1024 |

```cpp
limiter.capacity = 2048; // a larger bucket
```
)";

std::string stuff(const std::string& context, const std::string& question) {
  return "Use only the text below to answer the question that follows it. If the text does not "
         "hold "
         "the answer, say that you don't know.\n\n" +
         context + "\n\nQuestion: " + question + "\nHelpful Answer:";
}

std::string thought(const std::string& prompt) {
  auto result = think(prompt);
  REQUIRE(result);
  CHECK(result == think(prompt));
  return *result;
}

} // namespace

// -- question answering -------------------------------------------------------

TEST_CASE("a question gets the sentence that answers it, word for word", "[simulator]") {
  auto [question, sentence] = GENERATE(table<std::string, std::string>({
      {"How many hearts does an octopus have?", "It has three hearts and blue blood."},
      {"How many arms does the octopus have?", "The octopus is a mollusc with eight arms."},
      {"What colour is octopus blood?", "It has three hearts and blue blood."},
      {"Where do most species live?", "Most species live on the sea floor, e.g. among rocks."},
      {"How many years does the Giant Pacific octopus live?",
          "An octopus of the Giant Pacific kind lives for about 4.5 years."},
      {"Who studied playing octopuses?",
          "Dr. Jennifer Mather of Lethbridge studied how octopuses play with bottles."},
  }));
  CHECK(thought(stuff(octopus, question)) == sentence);
}

TEST_CASE("what the context does not say is not known", "[simulator]") {
  auto question = GENERATE(as<std::string>{}, "Who is the president of France?",
      "What does a ticket for the museum cost?", "How do squids reproduce?", "Why?", "",
      "What is the capital of Mars, and how large are its canyons?");
  CHECK(thought(stuff(octopus, question)) == "I don't know.");
  CHECK(thought(stuff("", question)) == "I don't know.");
}

TEST_CASE("the instruction of a prompt answers nothing", "[simulator]") {
  CHECK(thought(stuff(octopus, "What should I say if the text does not hold the answer?")) ==
        "I don't know.");
  CHECK(thought(
            "Use the following pieces of context to answer the question at the end. If you don't "
            "know the answer,\njust say that you don't know, don't try to make up an answer.\n\n" +
            octopus +
            "\n\nQuestion: What should I say if I don't know the answer?\n"
            "Helpful Answer: ") == "I don't know.");
}

TEST_CASE("Markdown is read by its lines, under its headings", "[simulator]") {
  auto [question, sentence] = GENERATE(table<std::string, std::string>({
      {"What happens when the queue is full?",
          "When the queue is full, the answer is `errc::overloaded`, at once."},
      {"What does the rate limiter count?", "It counts requests and tokens in a bucket."},
      {"How many requests per minute are the default?", "| requests per minute | 3500 |"},
      {"How do I get a larger bucket?", "limiter.capacity = 2048; // a larger bucket"},
  }));
  CHECK(thought(stuff(limits, question)) == sentence);
}

TEST_CASE("other wordings of a question over a context are known, too", "[simulator]") {
  const std::string question = "How many hearts does an octopus have?";
  const std::string sentence = "It has three hearts and blue blood.";
  CHECK(thought("Context: " + octopus + "\n\nQuestion: " + question + "\nAnswer:") == sentence);
  CHECK(thought("Context information is below. \n---------------------\n" + octopus +
                "\n---------------------\nGiven the context information and not prior knowledge, "
                "answer the question: " +
                question + "\n") == sentence);
  CHECK(thought(stuff("A form:\n\nQuestion: How old are you?\nHelpful Answer: 30\n\n" + octopus,
            question)) == sentence);
}

TEST_CASE("a passage is copied where it is relevant, and nothing where it is not", "[simulator]") {
  auto map = [](const std::string& question) {
    return "Use the following portion of a long document to see if any of the text is relevant to "
           "answer the question. \nReturn any relevant text verbatim.\n" +
           octopus + "\nQuestion: " + question + "\nRelevant text, if any:";
  };
  CHECK(thought(map("How many arms does an octopus have?")) ==
        "The octopus is a mollusc with eight arms.");
  CHECK(thought(map("When was the museum built?")) == "None.");
}

TEST_CASE("extracts are combined after the worked examples", "[simulator]") {
  auto combine = [](const std::string& question, const std::string& blocks) {
    return "Given extracts from a long document and a question, write a final answer.\n\n"
           "QUESTION: In which year did the harbour light of Kallen first burn?\n=========\n"
           "Content: Kallen's harbour light was lit for the first time in 1864.\nSource: "
           "lights.md\n"
           "=========\nFINAL ANSWER: In 1864.\nSOURCES: lights.md\n\nQUESTION: " +
           question + "\n=========\n" + blocks + "\n=========\nFINAL ANSWER:";
  };
  const std::string sourced =
      "Content: None.\nSource: 1.md\n\nContent: The octopus has three hearts.\nIt is shy.\nSource: "
      "sea/octopus.md\n\nContent: The hearts of whales are large.\nSource: whales.md";
  CHECK(thought(combine("How many hearts does an octopus have?", sourced)) ==
        "The octopus has three hearts.\nSOURCES: sea/octopus.md");
  CHECK(thought(combine("In which year did the harbour light of Kallen first burn?", sourced)) ==
        "I don't know.\nSOURCES:");
  const std::string bare = "The octopus has three hearts.\n\nNone.\n\nNone";
  CHECK(thought(combine("How many hearts does an octopus have?", bare)) ==
        "The octopus has three hearts.");
  CHECK(thought(combine("Is there none?", bare)) == "I don't know.");
}

TEST_CASE("an answer is rated by how much of the question it holds", "[simulator]") {
  auto rerank = [](const std::string& question) {
    return "Use only the text below. Keep to this form:\n\nQuestion: [the question]\nHelpful "
           "Answer "
           "In This Format:\n[the answer]\nScore: [a whole number from 0 to 100]\n\nContext:\n"
           "---------\nApples are red, and some are green.\n---------\nQuestion: what colour are "
           "apples?\nHelpful Answer In This Format:\nred or green\nScore: 95\n\nBegin!\n\n"
           "Context:\n---------\n" +
           octopus + "\n---------\nQuestion: " + question + "\nHelpful Answer In This Format:\n";
  };
  CHECK(thought(rerank("How many arms does the octopus have?")) ==
        "The octopus is a mollusc with eight arms.\nScore: 100");
  CHECK(thought(rerank("what colour are apples?")) ==
        "This document does not answer the question\nScore: 0");
  auto partly = thought(rerank("Where do most small species live?"));
  CHECK_THAT(partly, StartsWith("Most species live on the sea floor, e.g. among rocks.\nScore: "));
  CHECK_THAT(partly, !EndsWith("Score: 100"));
}

// -- refining -----------------------------------------------------------------

TEST_CASE("the better of the existing answer and the new text remains", "[simulator]") {
  auto refine = [](const std::string& existing, const std::string& more) {
    return "The original question is as follows: How many hearts does an octopus have?\nWe have "
           "provided an existing answer: " +
           existing +
           "\nBelow is more text, which may make the existing answer better, only if it is needed."
           "\n\n------------\n" +
           more +
           "\n------------\n\nWrite the existing answer anew with what this text adds. If it "
           "adds nothing, repeat the existing answer.\nRefined Answer:";
  };
  const std::string hearts = "The octopus has three hearts.";
  CHECK(thought(refine("I don't know.", hearts)) == hearts);
  CHECK(thought(refine(hearts, "Whales are large.")) == hearts);
  CHECK(thought(refine("An octopus is shy.", hearts + " It is shy.")) == hearts);
  CHECK(thought(refine(hearts, "An octopus has three large hearts, it says.")) == hearts);
  CHECK(thought(refine("I don't know.", "Whales are large.")) == "I don't know.");
  CHECK(thought(refine("I don't know.\nSOURCES:", "Content: " + hearts + "\nSource: sea.md")) ==
        hearts + "\nSOURCES: sea.md");
  CHECK(thought(refine(hearts + "\nSOURCES: old.md", "Content: Whales eat.\nSource: sea.md")) ==
        hearts + "\nSOURCES: old.md");
}

TEST_CASE(
    "LangChain's refine prompt has no cue at its end, and is known all the same", "[simulator]") {
  auto refine = [](const std::string& existing) {
    return "The original question is as follows: How many hearts does an octopus have?\nWe have "
           "provided an existing answer, including sources: " +
           existing +
           "\nWe have the opportunity to refine the existing answer(only if needed) with some more "
           "context below.\n------------\n" +
           octopus +
           "\n------------\nGiven the new context, refine the original answer to better answer the "
           "question. If the context isn't useful, return the original answer.";
  };
  CHECK(thought(refine("It is a secret.")) == "It has three hearts and blue blood.");
  CHECK(thought(refine("An octopus has exactly three hearts.")) ==
        "An octopus has exactly three hearts.");
}

// -- summaries ----------------------------------------------------------------

TEST_CASE("a summary is made of the most central sentences", "[simulator]") {
  auto summary = thought("Write a short summary of the text in quotation marks.\n\n\"" + octopus +
                         "\"\n\nCONCISE SUMMARY:");
  CHECK_THAT(summary, StartsWith("The octopus is a mollusc with eight arms."));
  CHECK(summary.size() < octopus.size() / 2);
  CHECK(thought("Write a summary of this.\n\n\"\"\n\nCONCISE SUMMARY:") ==
        "There is nothing to summarize.");
}

TEST_CASE("a refined summary grows by a sentence at most, and not for ever", "[simulator]") {
  auto refine = [](const std::string& existing, const std::string& more) {
    return "Your job is to produce a final summary\nWe have provided an existing summary up to a "
           "certain point: " +
           existing +
           "\nWe have the opportunity to refine the existing summary(only if needed) with some "
           "more "
           "context below.\n------------\n" +
           more +
           "\n------------\nGiven the new context, refine the original summary\nIf the context "
           "isn't useful, return the original summary.";
  };
  CHECK(thought(refine("Whales sing.", "The octopus has three hearts.")) ==
        "Whales sing. The octopus has three hearts.");
  CHECK(thought(refine("Whales sing.", "Whales sing.")) == "Whales sing.");
  std::string summary = "Whales sing.";
  for (int i = 0; i < 100; ++i)
    summary = thought(refine(summary, "Fact number " + std::to_string(i) + " is about the sea."));
  CHECK(summary.size() < 1000);
  CHECK_THAT(summary, StartsWith("Whales sing."));
}

// -- follow-up questions ------------------------------------------------------

TEST_CASE("a follow-up question is made to stand alone", "[simulator]") {
  struct row {
    std::string before, follow_up, expected;
  };
  auto [before, follow_up, expected] = GENERATE(values<row>({
      {"How does the rate limiter work?", "What happens when it is full?",
          "What happens when the rate limiter is full?"},
      {"What is the capital of France?", "And Italy?", "What is the capital of Italy?"},
      {"What is the capital of France?", "What about the Czech Republic?",
          "What is the capital of the Czech Republic?"},
      {"How many people live in Vienna?", "What is its climate like?",
          "What is Vienna's climate like?"},
      {"Where is Vienna?", "And how many people live there?", "How many people live in Vienna?"},
      {"What did Ada Lovelace write?", "did she know Charles Babbage?",
          "Did Ada Lovelace know Charles Babbage?"},
      {"What is a gather?", "What is the deadline of a call?", "What is the deadline of a call?"},
      {"Which license does chainmail have?", "Is it free?", "Is chainmail free?"},
      {"How do I run the demo?", "How long does it take?", "How long does the demo take?"},
      {"Where do API keys live?", "Are they logged?", "Are API keys logged?"},
      {"Who wrote the first program?", "When was that?", "When was the first program?"},
      {"What is the rate limiter?", "Why?", "Why, about the rate limiter?"},
      {"What is errc::overloaded?", "When does that happen?", "When does errc::overloaded happen?"},
  }));
  CAPTURE(before, follow_up);
  CHECK(thought("Given the following conversation and a follow up question, rephrase the follow up "
                "question to be a standalone question.\n\nChat History:\nHuman: Hello\nAssistant: "
                "Hi\nHuman: " +
                before + "\nAssistant: It is as it is.\nFollow Up Input: " + follow_up +
                "\nStandalone question:") == expected);
}

TEST_CASE("without a subject in the history, a follow-up stays as it is", "[simulator]") {
  auto history = GENERATE(as<std::string>{}, "", "Human: And you?", "AI: Hello!", "nonsense\n\n");
  CHECK(thought("Chat History:\n" + history +
                "\nFollow Up Input: What is it?\n"
                "Standalone question:") == "What is it?");
}

TEST_CASE("a follow-up to a follow-up finds the subject further back", "[simulator]") {
  CHECK(
      thought("Chat History:\nHuman: What is the rate limiter?\nAI: A bucket.\nHuman: What does it "
              "do?\nAI: It counts.\nFollow Up Input: Can I turn it off?\nStandalone question:") ==
      "Can I turn the rate limiter off?");
}

// -- arithmetic ---------------------------------------------------------------

namespace {

std::string maths(const std::string& question, const std::string& fence = "expression") {
  return "Translate a math problem into an expression.\n\nQuestion: What is 2 * 3?\n```" + fence +
         "\n2 * 3\n```\n```output\n6\n```\nAnswer: 6\n\nQuestion: " + question + "\n";
}

} // namespace

TEST_CASE("sums in digits and in words become expressions", "[simulator]") {
  auto [question, expression] = GENERATE(table<std::string, std::string>({
      {"What is 37593 * 67?", "37593 * 67"},
      {"37593^2 + 1", "37593 ** 2 + 1"},
      {"What is two plus two?", "2 + 2"},
      {"How much is 1,250.50 minus 3.25", "1250.50 - 3.25"},
      {"What is 7 times 8 divided by 4?", "7 * 8 / 4"},
      {"What is (3 + 4) * (10 - 2)?", "(3 + 4) * (10 - 2)"},
      {"8 - (3 - 2)", "8 - (3 - 2)"},
      {"What is twelve multiplied by twenty-one?", "12 * 21"},
      {"What is 100 over 8?", "100 / 8"},
      {"What is 12 squared?", "12 ** 2"},
      {"three cubed", "3 ** 3"},
      {"What is the square root of 144?", "sqrt(144)"},
      {"What is the cube root of 27 plus 1?", "cbrt(27) + 1"},
      {"What is 2 to the power of 10?", "2 ** 10"},
      {"What is 13 raised to the .3432 power?", "13 ** 0.3432"},
      {"What is 2 raised to the 5th power?", "2 ** 5"},
      {"What is 15% of 80?", "15/100*80"},
      {"What is 15 percent of 80 dollars?", "15/100*80"},
      {"What is the sum of 12 and 30?", "12 + 30"},
      {"What is the difference between 50 and 8?", "50 - 8"},
      {"What is the product of 6 and seven?", "6 * 7"},
      {"What is the square root of the sum of 9 and 16?", "sqrt(9 + 16)"},
      {"What is the factorial of 5?", "factorial(5)"},
      {"What is 5!?", "factorial(5)"},
      {"What is half of 90?", "90 / 2"},
      {"What is twice 21?", "2 * 21"},
      {"one hundred and five times three thousand two hundred", "105 * 3200"},
      {"What is 3 million divided by five hundred thousand?", "3000000 / 500000"},
      {"What is -3 + 5?", "-3 + 5"},
      {"What is 2 x 4?", "2 * 4"},
  }));
  CAPTURE(question);
  CHECK(thought(maths(question)) == "```expression\n" + expression + "\n```\n");
}

TEST_CASE("what is no arithmetic, or only half understood, is not calculated", "[simulator]") {
  auto question = GENERATE(as<std::string>{}, "Who wrote Hamlet?", "Is 7 a prime?",
      "If I have 3 apples and get 4 more, how many are there?", "What is 3 + 4 and then times 2?",
      "In 2020, what was 2 + 2?", "Solve x + 3 = 7", "What is ?", "(((((", "2 +", "5 % 3",
      "What is 3 plus 4 rounded?");
  CAPTURE(question);
  CHECK(thought(maths(question)) == "Answer: I don't know.");
  CHECK(thought(maths(std::string(500, '(') + "1 + 1")) == "Answer: I don't know.");
}

TEST_CASE("arithmetic is fenced as the examples are", "[simulator]") {
  CHECK(thought(maths("What is 2 + 3?", "text")) == "```text\n2 + 3\n```\n");
  CHECK(thought(maths("What is 2 + 3?", "python")) == "```python\nprint(2 + 3)\n```\n");
  CHECK_FALSE(think("Question: What is 2 + 2?"));
}

// -- conversations ------------------------------------------------------------

namespace {

std::string conversation(const std::string& history, const std::string& input) {
  return "The following is a friendly conversation between a human and an AI. If the AI does not "
         "know "
         "the answer to a question, it truthfully says it does not know.\n\nCurrent "
         "conversation:\n" +
         history + "\nHuman: " + input + "\nAI:";
}

} // namespace

TEST_CASE("a conversation is remembered, and nothing else is known", "[simulator]") {
  const std::string history =
      "Human: Hi! My name is Ada.\nAI: I noted that you said: \"Hi! My name is Ada.\"\n"
      "Human: What is my name and where do I live?\nAI: I don't know.\n"
      "Human: I live in Vienna.\nMy dog is called Rex.\nAI: Noted.";
  CHECK(thought(conversation(history, "What is my name?")) == "You said: \"My name is Ada.\"");
  CHECK(thought(conversation(history, "Where do I live?")) == "You said: \"I live in Vienna.\"");
  CHECK(thought(conversation(history, "What is my dog called?")) ==
        "You said: \"My dog is called Rex.\"");
  CHECK(thought(conversation(history + "\nHuman: I live in Graz now.", "Where do I live?")) ==
        "You said: \"I live in Graz now.\"");
  CHECK_THAT(thought(conversation(history, "What is the capital of France?")),
      StartsWith("I don't know") && ContainsSubstring("simulation"));
  CHECK_THAT(thought(conversation("", "I like socks.")),
      ContainsSubstring("simulated") && ContainsSubstring("\"I like socks.\""));
}

TEST_CASE("a conversation's summary keeps what was said, as far as there is room", "[simulator]") {
  auto summarize = [](const std::string& existing, const std::string& lines) {
    return "Progressively summarize the lines of conversation provided.\n\nEXAMPLE\nCurrent "
           "summary:\nThe human asks about AI.\n\nNew lines of conversation:\nHuman: Why?\nAI: "
           "Because.\n\nNew summary:\nThe human asks why.\nEND OF EXAMPLE\n\nCurrent summary:\n" +
           existing + "\n\nNew lines of conversation:\n" + lines + "\n\nNew summary:";
  };
  auto summary = thought(summarize("", "Human: Hello. My name is Ada.\nAI: Noted. Really."));
  CHECK(summary == "The human said: \"Hello.\"\nThe human said: \"My name is Ada.\"\nThe AI "
                   "replied: \"Noted.\"");
  CHECK(thought(summarize(summary, "Human: Where am I?")) ==
        summary + "\nThe human asked: \"Where am I?\"");
  CHECK(thought(conversation(summary, "What is my name?")) ==
        "From what was said before: The human said: \"My name is Ada.\"");
  for (int i = 0; i < 100; ++i)
    summary =
        thought(summarize(summary, "Human: This is line " + std::to_string(i) + ".\nAI: Yes."));
  CHECK(summary.size() <= 1000);
  CHECK_THAT(summary, StartsWith("The ") && ContainsSubstring("This is line 99."));
}

// -- routing ------------------------------------------------------------------

TEST_CASE("a router names the candidate that fits the input, or the default", "[simulator]") {
  auto route_of = [](const std::string& input) {
    return thought(
        "Choose one.\n\n<< CANDIDATES >>\nphysics: Good for questions about physics, "
        "light and speed\nmaths: Good for numbers, sums and equations\ncooking: Recipes and "
        "meals\n\n<< INPUT >>\n" +
        input + "\n\n<< OUTPUT >>");
  };
  CHECK(route_of("What is the speed of light in a vacuum?") == "physics");
  CHECK(route_of("Solve these two equations") == "maths");
  CHECK(route_of("I need a recipe for dumplings.") == "cooking");
  CHECK(route_of("Who was the first emperor of Rome?") == "DEFAULT");
  CHECK(route_of("") == "DEFAULT");
}

// -- through the endpoint -----------------------------------------------------

namespace {

std::string quoted(const std::string& text) {
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer>(buffer).String(text.c_str());
  return buffer.GetString();
}

std::string completion_of(const std::string& prompt, const std::string& fields = "") {
  auto what = responder().complete(R"({"model":"m","prompt":)" + quoted(prompt) + fields + "}");
  REQUIRE(what.status == 200);
  rapidjson::Document json;
  json.Parse(what.body.c_str());
  return json["choices"][0]["text"].GetString();
}

using role_and_text = std::pair<std::string, std::string>;

std::string chat_reply(const std::vector<role_and_text>& messages) {
  std::string list;
  for (const auto& [role, text] : messages)
    list += (list.empty() ? "" : ",") + (R"({"role":")" + role + R"(","content":)") + quoted(text) +
            "}";
  auto what = responder().chat(R"({"model":"m","messages":[)" + list + "]}");
  REQUIRE(what.status == 200);
  rapidjson::Document json;
  json.Parse(what.body.c_str());
  return json["choices"][0]["message"]["content"].GetString();
}

} // namespace

TEST_CASE("stop sequences and max_tokens apply to what was thought", "[simulator]") {
  auto prompt = maths("What is 37593 * 67?");
  CHECK(
      completion_of(prompt, R"(,"stop":["```output"])") == "\n\n```expression\n37593 * 67\n```\n");
  CHECK(completion_of(prompt, R"(,"max_tokens":2)") == "\n\n```exp");
}

TEST_CASE("a chat's last message may be a whole prompt", "[simulator]") {
  CHECK(chat_reply({{"system", "Be kind."},
            {"user", stuff(octopus, "How many arms does an octopus have?")}}) ==
        "The octopus is a mollusc with eight arms.");
}

TEST_CASE("a chat's question is answered from the system's context", "[simulator]") {
  const std::string system =
      "Use the following pieces of context to answer the users question. \nIf you don't know the "
      "answer, just say that you don't know, don't try to make up an answer.\n----------------\n" +
      octopus;
  CHECK(chat_reply({{"system", system}, {"user", "How many hearts does an octopus have?"}}) ==
        "It has three hearts and blue blood.");
  CHECK(chat_reply({{"system", system}, {"user", "What is the capital of France?"}}) ==
        "I don't know.");
  CHECK_THAT(chat_reply({{"system", "Be kind."}, {"user", "What is the capital of France?"}}),
      ContainsSubstring("You wrote:"));
  CHECK_THAT(chat_reply({{"system", octopus}, {"user", "The octopus has arms."}}),
      ContainsSubstring("You wrote:"));
}

TEST_CASE("a chat's question is answered from what its user said before", "[simulator]") {
  CHECK(chat_reply({{"user", "Hi, my name is Ada."}, {"assistant", "Hello."},
            {"user", "What is my name?"}}) == "You said: \"Hi, my name is Ada.\"");
}

TEST_CASE("a chat may refine an answer that it gave before", "[simulator]") {
  CHECK(
      chat_reply({{"user", "How many hearts does an octopus have?"}, {"assistant", "I don't know."},
          {"user", "We have the opportunity to refine the existing answer (only if needed) with "
                   "some more context below.\n------------\n" +
                       octopus + "\n------------\nRefine the original answer."}}) ==
      "It has three hearts and blue blood.");
}

TEST_CASE("a question for a name gets a name, whatever the system says", "[simulator]") {
  CHECK_THAT(chat_reply({{"system", "You find good names for a company that makes colorful socks."},
                 {"user", "What is a good name for a company that makes colorful socks?"}}),
      !ContainsSubstring("You find"));
}

// -- prompts of no known kind, and hostile ones -------------------------------

TEST_CASE("prompts of no known kind are not thought about", "[simulator]") {
  auto prompt = GENERATE(as<std::string>{}, "", " ", "hello", "What is 2+2?",
      "Answer:", "Helpful Answer:", "FINAL ANSWER:", "Standalone question:", "New summary:", "AI:",
      "Human: hi\nAI:", "<< OUTPUT >>", "CONCISE SUMMARY:", "existing answer",
      "existing answer:", "existing answer: x\n------\n",
      "Question: who?\nAnswer: me\n\nQuestion: you?\nAnswer:",
      "QUESTION: a\n=========\nFINAL ANSWER:", "Question: a\nHelpful Answer In This Format:",
      "Chat History:\nStandalone question:",
      "Follow Up Input: x\nChat History:\nStandalone question:",
      "Context information is below.\n------\nanswer the question: x",
      "Answer like a pirate.\n\nQuestion: who are you?\nAnswer:",
      "\nbelow is existing answer: ------\n------\n------");
  CAPTURE(prompt);
  CHECK_FALSE(think(prompt));
}

TEST_CASE("a prompt of a megabyte is thought through in no time", "[simulator][timing]") {
  auto filler = GENERATE(as<std::string>{}, "a", " ", "\n", ".", "a. ", "A.\n", "#", "# h\n", "|",
      "- x\n", "```\n", "Content: x\nSource: y\n", "it ", "octopus hearts ", "(", "1+", "\xE2\x80",
      "\xF0\x9F\xA7\xA6", "\"", "Human: it?\n", "Question: it?\n", "\n------\n", "\n=====\n",
      "existing answer: ", "hundred ", "\nBelow is ");
  std::string text;
  while (text.size() < (1U << 20U))
    text += filler;
  const std::vector<std::string> prompts{stuff(text, "How many hearts does an octopus have?"),
      stuff(octopus, text),
      "Chat History:\n" + text +
          "\nFollow Up Input: What is it?\n"
          "Standalone question:",
      "Chat History:\nHuman: What is the limiter?\nFollow Up Input: " + text +
          "\nStandalone question:",
      "Write a summary.\n\n\"" + text + "\"\n\nCONCISE SUMMARY:", maths(text),
      conversation(text, "What is my name?"), conversation("Human: I am Ada.", text),
      "Current summary:\n" + text + "\n\nNew lines of conversation:\n" + text + "\n\nNew summary:",
      "QUESTION: x y\n=====\n" + text + "\n=====\nFINAL ANSWER:",
      "Context:\n---\n" + text + "\n---\nQuestion: x\nHelpful Answer In This Format:",
      "<< CANDIDATES >>\n" + text + "<< INPUT >>\n" + text + "\n<< OUTPUT >>",
      "The question: " + text + "\nan existing answer: " + text + "\n------\n" + text +
          "\n------\n",
      "an existing summary: " + text + "\n------\n" + text + "\n------\n"};
  for (const auto& prompt : prompts) {
    auto start = std::chrono::steady_clock::now();
    auto result = think(prompt);
    auto passed = std::chrono::steady_clock::now() - start;
    CAPTURE(filler, prompt.substr(0, 60));
    CHECK(
        passed < std::chrono::seconds(2)); // a tenth of it, unless a sanitizer or a debugger helps
    if (result)
      CHECK(result->size() <= prompt.size() + 10000);
  }
}

// -- agents -------------------------------------------------------------------

TEST_CASE("a ReAct prompt gets one action after the other, then the final answer") {
  std::string prompt =
      "Be brief.\n\nAnswer the question. You can use these tools:\n\n"
      "population: How many people live in a city. Schema: "
      R"({"type":"object","properties":{"city":{"type":"string"}},"required":["city"]})"
      "\nweather: The weather in a city. Schema: "
      R"({"type":"object","properties":{"city":{"type":"string"}},"required":["city"]})"
      "\n\nUse this format:\n\nQuestion: the question\nThought: what to do\nAction: the tool\n"
      "Action Input: its input\nObservation: what it says\nFinal Answer: the answer\n\nBegin!\n\n"
      "Question: What is the weather in Rome, and how many people live in Oslo?\nThought:";
  auto first = thought(prompt);
  CHECK_THAT(first, EndsWith("\nAction: weather\nAction Input: {\"city\":\"Rome\"}"));
  prompt += first + "\nObservation: Sunny,\n21 degrees\nThought:";
  auto second = thought(prompt);
  CHECK_THAT(second, EndsWith("\nAction: population\nAction Input: {\"city\":\"Oslo\"}"));
  prompt += second + "\nObservation: 709037\nThought:";
  CHECK_THAT(thought(prompt), ContainsSubstring("\nFinal Answer: weather (Rome): Sunny, 21 degrees"
                                                "\npopulation (Oslo): 709037"));
}

TEST_CASE("a ReAct prompt in LangChain's words gets inputs that are texts") {
  CHECK_THAT(
      thought(
          "Answer the following questions as best you can. You have access to the following "
          "tools:\n\nSearch: Looks things up\nCalculator: Does sums\n\nUse the following format:"
          "\n\nQuestion: the input question you must answer\n...\n\nBegin!\n\n"
          "Question: What is 3 * 4?\nThought:"),
      EndsWith("\nAction: Calculator\nAction Input: What is 3 * 4?"));
}

} // namespace brain_test

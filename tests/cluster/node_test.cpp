#include <chainmail/agents/agent.hpp>
#include <chainmail/agents/tools.hpp>
#include <chainmail/caf/compat.hpp>
#include <chainmail/caf/main.hpp>
#include <chainmail/cluster/chain_specs.hpp>
#include <chainmail/cluster/node.hpp>
#include <chainmail/cluster/node_broker.hpp>
#include <chainmail/cluster/node_core.hpp>
#include <chainmail/llm/scripted_llm.hpp>

#include <caf/io/middleman.hpp>
#include <caf/io/middleman_actor.hpp>
#include <catch2/catch_test_macros.hpp>

#include <arpa/inet.h>
#include <atomic>
#include <memory>
#include <mutex>
#include <netinet/in.h>
#include <support/http_calls.hpp>
#include <support/member.hpp>
#include <support/refusal.hpp>
#include <sys/socket.h>
#include <unistd.h>

namespace node_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;

namespace {

/// What a node said.
struct node_log {
  std::mutex mutex;
  std::string text;

  std::function<void(const std::string&)> writer() {
    return [this](const std::string& line) {
      std::lock_guard guard{mutex};
      text += line + "\n";
    };
  }

  bool has(const std::string& part) {
    std::lock_guard guard{mutex};
    return text.find(part) != std::string::npos;
  }
};

llm_actor spawn_echo(
    caf::actor_system& system, const std::string& prefix, caf::timespan delay = caf::timespan{0}) {
  return spawn_scripted_llm(system, [prefix, delay](const llm_request& request) {
    return scripted_reply{prefix + request.prompts.front(), {}, delay};
  });
}

std::string text_of(const caf::expected<llm_result>& result) {
  return result ? result->text() : describe(result.error());
}

} // namespace

TEST_CASE("an actor of another node is used as one's own", "[node]") {
  member server{{.name = "server", .listen = "127.0.0.1:0"}};
  server.node.offer("llm", spawn_echo(server.system, "I say "));
  member client{{.name = "client", .join = {server.address()}}};
  REQUIRE(client.node.wait_for_peers(1, 10s));
  auto llm = client.node.find<llm_actor>("llm");
  caf::scoped_actor self{client.system};
  CHECK(text_of(generate(self, llm, std::string{"hello"}, 10s)) == "I say hello");
  CHECK(server.node.status().peers == std::vector<std::string>{"client"});
  CHECK(client.node.status().peers == std::vector<std::string>{"server"});
}

TEST_CASE("an agent uses a tool of another node, and hears when that is lost", "[node]") {
  auto server = std::make_unique<member>(node_options{.name = "server", .listen = "127.0.0.1:0"});
  server->node.offer("calculator", spawn_calculator_tool(server->system));
  member client{{.name = "client", .join = {server->address()}}};
  REQUIRE(client.node.wait_for_peers(1, 10s));
  auto llm = spawn_scripted_llm(client.system, [](const llm_request& request) {
    if (request.messages.back().role == "tool")
      return scripted_reply{request.messages.back().content};
    return scripted_reply{{}, {}, {}, {{"1", "calculator", R"({"expression":"6 * 7"})"}}};
  });
  auto agent = spawn_tool_agent(client.system, llm, {client.node.find<tool_actor>("calculator")});
  caf::scoped_actor self{client.system};
  auto answer = run(self, agent, "What is 6 times 7?", 20s);
  CHECK((answer ? *answer : describe(answer.error())) == "42");
  server = nullptr;
  answer = run(self, agent, "What is 6 times 7?", 20s);
  REQUIRE(answer);
  CHECK(answer->find("the tool 'calculator' failed") != std::string::npos);
}

TEST_CASE("megabytes arrive whole, in both directions", "[node]") {
  member server{{.name = "server", .listen = "127.0.0.1:0"}};
  server.node.offer("llm", spawn_echo(server.system, ""));
  member client{{.name = "client", .join = {server.address()}}};
  REQUIRE(client.node.wait_for_peers(1, 10s));
  auto llm = client.node.find<llm_actor>("llm");
  caf::scoped_actor self{client.system};
  for (auto size : {size_t{256} << 10U, (size_t{256} << 10U) + 1, size_t{6'000'000}}) {
    std::string text;
    for (size_t i = 0; text.size() < size; ++i)
      text += std::to_string(i) + " ";
    text.resize(size);
    auto answer = generate(self, llm, text, 30s);
    REQUIRE(answer);
    CHECK((answer->text() == text));
  }
}

TEST_CASE("what is offered later is found by handles of before", "[node]") {
  member server{{.name = "server", .listen = "127.0.0.1:0"}};
  member client{{.name = "client", .join = {server.address()}}};
  auto llm = client.node.find<llm_actor>("llm");
  REQUIRE(client.node.wait_for_peers(1, 5s));
  server.node.offer("llm", spawn_echo(server.system, "late "));
  caf::scoped_actor self{client.system};
  CHECK(text_of(generate(self, llm, std::string{"x"}, 10s)) == "late x");
}

TEST_CASE("a node that listens later is joined then", "[node]") {
  std::string address;
  {
    member first{{.name = "first", .listen = "127.0.0.1:0"}};
    address = first.address();
  }
  node_log log;
  member client{{.name = "client", .join = {address}, .log = log.writer()}};
  CHECK(eventually([&] { return log.has("nothing accepts connections"); }));
  member second{{.name = "second", .listen = address}};
  CHECK(client.node.wait_for_peers(1, 5s));
  CHECK(log.has("joined second"));
}

TEST_CASE("nodes that join each other have one connection that works", "[node]") {
  std::string address;
  {
    member probe{{.name = "probe", .listen = "127.0.0.1:0"}};
    address = probe.address();
  }
  for (auto i = 0; i < 3; ++i) {
    member one{{.name = "one", .listen = "127.0.0.1:0", .join = {address}}};
    member two{{.name = "two", .listen = address, .join = {one.address()}}};
    one.node.offer("llm", spawn_echo(one.system, "one "));
    two.node.offer("other", spawn_echo(two.system, "two "));
    auto of_one = two.node.find<llm_actor>("llm");
    auto of_two = one.node.find<llm_actor>("other");
    caf::scoped_actor in_one{one.system};
    caf::scoped_actor in_two{two.system};
    // A pair that met twice may need another attempt.
    CHECK(eventually(
        [&] { return text_of(generate(in_two, of_one, std::string{"x"}, 5s)) == "one x"; }));
    CHECK(eventually(
        [&] { return text_of(generate(in_one, of_two, std::string{"x"}, 5s)) == "two x"; }));
  }
}

TEST_CASE("a node that is joined at two addresses has one connection that stays", "[node]") {
  member server{{.name = "server", .listen = "127.0.0.1:0"}};
  server.node.offer("llm", spawn_echo(server.system, "I say ", 500ms));
  node_log log;
  auto other_address = "localhost:" + std::to_string(server.node.port());
  member client{{.name = "client", .join = {server.address(), other_address}, .log = log.writer()}};
  REQUIRE(client.node.wait_for_peers(1, 10s));
  auto llm = client.node.find<llm_actor>("llm");
  REQUIRE(eventually([&] {
    return log.has("joined server at " + server.address()) &&
           log.has("joined server at " + other_address);
  }));
  caf::scoped_actor self{client.system};
  CHECK(text_of(generate(self, llm, std::string{"hello"}, 10s)) == "I say hello");
  CHECK(!log.has("lost"));
}

TEST_CASE("a node is joined when many others do not answer", "[node]") {
  // Its queue of connections is full: what comes then gets no answer at all.
  auto full = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  REQUIRE(bind(full, generic, size) == 0);
  REQUIRE(listen(full, 0) == 0);
  REQUIRE(getsockname(full, generic, &size) == 0);
  std::vector<int> waiting;
  for (auto i = 0; i < 4; ++i) {
    waiting.push_back(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    connect(waiting.back(), generic, size);
  }
  std::vector<std::string> addresses(8, "127.0.0.1:" + std::to_string(ntohs(address.sin_port)));
  member server{{.name = "server", .listen = "127.0.0.1:0"}};
  addresses.push_back(server.address());
  member client{{.name = "client", .join = addresses}};
  CHECK(client.node.wait_for_peers(1, 20s));
  for (auto fd : waiting)
    close(fd);
  close(full);
}

TEST_CASE("a node does not join itself", "[node]") {
  std::string address;
  {
    member probe{{.name = "probe", .listen = "127.0.0.1:0"}};
    address = probe.address();
  }
  node_log log;
  member one{{.name = "one", .listen = address, .join = {address}, .log = log.writer()}};
  std::this_thread::sleep_for(300ms);
  CHECK(one.node.status().peers.empty());
  CHECK(log.text.empty());
}

TEST_CASE("a node with work left finishes it before it leaves", "[node]") {
  member server{{.name = "server", .listen = "127.0.0.1:0"}};
  server.node.offer("llm", spawn_echo(server.system, "done ", 300ms));
  member client{{.name = "client", .join = {server.address()}}};
  auto llm = client.node.find<llm_actor>("llm");
  caf::scoped_actor self{client.system};
  REQUIRE(client.node.wait_for_peers(1, 5s));
  auto work = std::async(std::launch::async, [&] {
    caf::scoped_actor worker{client.system};
    return text_of(generate(worker, llm, std::string{"x"}, 10s));
  });
  REQUIRE(eventually([&] { return server.node.status().services.front().in_flight == 1; }));
  CHECK(server.node.leave(5s));
  CHECK(work.get() == "done x");
  auto late = generate(self, llm, std::string{"y"}, 10s);
  REQUIRE(!late);
  CHECK(code_of(late.error()) == errc::unavailable);
}

TEST_CASE("leaving has a limit", "[node]") {
  member server{{.name = "server", .listen = "127.0.0.1:0"}};
  server.node.offer("llm", spawn_echo(server.system, "never ", caf::infinite));
  member client{{.name = "client", .join = {server.address()}}};
  REQUIRE(client.node.wait_for_peers(1, 10s));
  auto llm = client.node.find<llm_actor>("llm");
  auto work = std::async(std::launch::async, [&] {
    caf::scoped_actor worker{client.system};
    return generate(worker, llm, std::string{"x"}, 10s);
  });
  REQUIRE(eventually([&] { return server.node.status().services.front().in_flight == 1; }));
  auto start = clock::now();
  CHECK(!server.node.leave(200ms));
  CHECK(clock::now() - start < 2s);
  CHECK(!work.get());
}

TEST_CASE("chains are spawned on another node, and used like those of this one", "[node]") {
  member server{{.name = "server"}};
  llm_actor llm = spawn_echo(server.system, "reply to ");
  member host{{.name = "host", .listen = "127.0.0.1:0", .spawn_chain = [&](const chain_spec& spec) {
                 return spawn_chain(server.system, spec, llm);
               }}};
  member client{{.name = "client", .join = {host.address()}}};
  REQUIRE(client.node.wait_for_peers(1, 5s));
  auto chain = client.node.spawn_chain("host", {"llm_chain", {{"template", "a {x}"}}});
  REQUIRE(chain);
  caf::scoped_actor self{client.system};
  auto answer = run(self, *chain, {{"x", std::string{"b"}}}, 10s);
  REQUIRE(answer);
  CHECK(*answer == "reply to a b");
  auto wrong = client.node.spawn_chain("host", {"robot", {}});
  REQUIRE(!wrong);
  CHECK(code_of(wrong.error()) == errc::invalid_input);
  auto nowhere = client.node.spawn_chain("nobody", {"llm_chain", {{"template", "a {x}"}}});
  REQUIRE(!nowhere);
  CHECK(code_of(nowhere.error()) == errc::not_found);
  auto unwilling = host.node.spawn_chain("client", {"llm_chain", {{"template", "a {x}"}}});
  REQUIRE(!unwilling);
  CHECK(code_of(unwilling.error()) == errc::unsupported);
}

TEST_CASE("a node finishes what its spawned chains work on before it leaves", "[node]") {
  member server{{.name = "server"}};
  llm_actor llm = spawn_echo(server.system, "done ", 500ms);
  member host{{.name = "host", .listen = "127.0.0.1:0", .spawn_chain = [&](const chain_spec& spec) {
                 return spawn_chain(server.system, spec, llm);
               }}};
  member client{{.name = "client", .join = {host.address()}}};
  REQUIRE(client.node.wait_for_peers(1, 5s));
  auto chain = client.node.spawn_chain("host", {"llm_chain", {{"template", "{x}"}}});
  REQUIRE(chain);
  auto work = std::async(std::launch::async, [&] {
    caf::scoped_actor self{client.system};
    auto answer = run(self, *chain, {{"x", std::string{"y"}}}, 10s);
    return answer ? *answer : describe(answer.error());
  });
  std::this_thread::sleep_for(200ms);
  CHECK(host.node.leave(5s));
  CHECK(work.get() == "done y");
}

TEST_CASE("a call with a remote handle inside a gather of a remote chain works", "[node]") {
  member server{{.name = "server", .listen = "127.0.0.1:0"}};
  server.node.offer("llm", spawn_echo(server.system, "r ", 5ms));
  member middle{{.name = "middle", .listen = "127.0.0.1:0", .join = {server.address()}}};
  REQUIRE(middle.node.wait_for_peers(1, 10s));
  auto llm = middle.node.find<llm_actor>("llm");
  middle.node.offer(
      "names", *spawn_chain(middle.system, {"llm_chain", {{"template", "{x}"}}}, llm));
  member client{{.name = "client", .join = {middle.address()}}};
  REQUIRE(client.node.wait_for_peers(1, 10s));
  auto names = client.node.find<chain_actor>("names");
  caf::scoped_actor self{client.system};
  std::vector<values> inputs;
  for (auto i = 0; i < 200; ++i)
    inputs.push_back({{"x", std::to_string(i)}});
  auto outcomes = gather(self, names, inputs, {}, 20s);
  REQUIRE(outcomes);
  for (auto i = 0U; i < 200; ++i) {
    INFO(describe((*outcomes)[i].error));
    REQUIRE((*outcomes)[i].ok());
    CHECK(std::get<std::string>((*outcomes)[i].result.at("text")) == "r " + std::to_string(i));
  }
}

TEST_CASE("versions that do not fit are said in a sentence", "[node]") {
  CHECK(mismatch(handshake_words(), "h:1").empty());
  auto other = mismatch({"chainmail node", "protocol 9", "CAF 9.1.0"}, "h:1");
  CHECK(other.find("h:1 speaks CAF 9.1.0, protocol 9") != std::string::npos);
  CHECK(other.find("CAF " + caf_version()) != std::string::npos);
  CHECK(mismatch({"something else"}, "h:1").find("no node of chainmail") != std::string::npos);
}

namespace {

/// A system that speaks CAF's protocol by way of chainmail's broker, but is no node.
struct stranger {
  struct config : caf::actor_system_config {
    config() { load_cluster(*this); }
  };

  config settings;
  caf::actor_system system{settings};
  caf::io::middleman_actor middleman =
      caf::io::make_middleman_actor(system, find_node_broker(system));

  ~stranger() { caf::anon_send_exit(middleman, caf::exit_reason::kill); }

  uint16_t publish(const caf::actor& whom, const std::set<std::string>& words) {
    caf::scoped_actor self{system};
    uint16_t result = 0;
    compat::request_within(5s, self.ptr(), middleman, caf::publish_atom_v, uint16_t{0},
        caf::actor_cast<caf::strong_actor_ptr>(whom), words, "127.0.0.1"s, true)
        .receive([&](uint16_t port) { result = port; }, [](const caf::error&) {});
    return result;
  }

  node_actor connect(uint16_t port) {
    caf::scoped_actor self{system};
    node_actor result;
    compat::request_within(5s, self.ptr(), middleman, caf::connect_atom_v, "127.0.0.1"s, port)
        .receive([&](const caf::node_id&, const caf::strong_actor_ptr& gate,
                     const std::set<std::string>&) { result = caf::actor_cast<node_actor>(gate); },
            [](const caf::error&) {});
    return result;
  }
};

std::string refusal_to_join(stranger& who, const node_actor& gate, const node_hello& hello) {
  caf::scoped_actor self{who.system};
  std::string result = "accepted";
  compat::request_within(5s, self.ptr(), gate, join_atom_v, hello)
      .receive(
          [](const node_hello&) {}, [&](const caf::error& error) { result = describe(error); });
  return result;
}

} // namespace

TEST_CASE("a node of another version is told so by the one it joins", "[node]") {
  member server{{.name = "server", .listen = "127.0.0.1:0"}};
  stranger other;
  auto gate = other.connect(server.node.port());
  REQUIRE(gate);
  auto said = refusal_to_join(other, gate, {9, caf_version(), "other", {}});
  CHECK(said.find("unsupported") == 0);
  CHECK(said.find("protocol 9") != std::string::npos);
  CHECK(refusal_to_join(other, gate, {cluster_protocol, "9.1.0", "other", {}}).find("CAF 9.1.0") !=
        std::string::npos);
  CHECK(server.node.status().peers.empty());
}

TEST_CASE("a node says nothing to one of another version", "[node]") {
  stranger other;
  auto asked = std::make_shared<std::atomic<bool>>(false);
  auto actor = other.system.spawn([asked](caf::event_based_actor* self) -> caf::behavior {
    compat::on_other(self, [asked](caf::scheduled_actor*, caf::message&) -> caf::skippable_result {
      *asked = true;
      return caf::make_error(caf::sec::unexpected_message);
    });
    return {[](turn_atom) {}};
  });
  auto port = other.publish(actor, {"chainmail node", "protocol 1", "CAF 9.1.0"});
  node_log log;
  member client{
      {.name = "client", .join = {"127.0.0.1:" + std::to_string(port)}, .log = log.writer()}};
  CHECK(eventually([&] { return log.has("speaks CAF 9.1.0, protocol 1"); }));
  CHECK(!*asked);
  caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
}

TEST_CASE("what a node says of itself is checked", "[node]") {
  member server{{.name = "server", .listen = "127.0.0.1:0"}};
  stranger other;
  auto gate = other.connect(server.node.port());
  REQUIRE(gate);
  auto with = [](std::vector<service> services) {
    return node_hello{cluster_protocol, caf_version(), "other", std::move(services)};
  };
  auto refusal = [&](const node_hello& hello) { return refusal_to_join(other, gate, hello); };
  CHECK(refusal({cluster_protocol, caf_version(), "", {}}).find("name") != std::string::npos);
  CHECK(refusal({cluster_protocol, caf_version(), "\xff", {}}).find("name") != std::string::npos);
  CHECK(refusal({cluster_protocol, caf_version(), std::string(300, 'x'), {}}).find("name") !=
        std::string::npos);
  CHECK(refusal(with({service{"llm", "llm", 1, false, {}}})).find("service") != std::string::npos);
  CHECK(refusal(with(std::vector<service>(2'000))).find("services") != std::string::npos);
  CHECK(server.node.status().peers.empty());
}

TEST_CASE("node options that can never work are refused", "[node]") {
  CHECK(
      refusal_of([] { member x{{.listen = "nonsense"}}; }).find("HOST:PORT") != std::string::npos);
  CHECK(refusal_of([] { member x{{.join = {"10.0.0.1"}}}; }).find("10.0.0.1") != std::string::npos);
  CHECK(refusal_of([] { member x{{.name = "\xff"}}; }).find("UTF-8") != std::string::npos);
  CHECK(refusal_of([] { member x{{.listen = "0.0.0.0:0"}}; }).find("TLS") != std::string::npos);
  member first{{.listen = "127.0.0.1:0"}};
  try {
    member second{{.listen = first.address()}};
    FAIL("two nodes listen on one port");
  } catch (const std::runtime_error& error) {
    CHECK(std::string{error.what()}.find(first.address()) != std::string::npos);
  }
}

TEST_CASE("services that other nodes would refuse are not offered", "[node]") {
  member server{{.name = "server", .listen = "127.0.0.1:0"}};
  auto llm = spawn_echo(server.system, "");
  CHECK(refusal_of([&] { server.node.offer("", llm); }).find("name") != std::string::npos);
  CHECK(refusal_of([&] { server.node.offer("\xff", llm); }).find("UTF-8") != std::string::npos);
  CHECK(refusal_of([&] {
    server.node.offer("llm", llm, {.capacity = 2'000'000});
  }).find("2000000") != std::string::npos);
  CHECK(server.node.status().services.empty());
}

TEST_CASE("a service of one node is found however its address is written", "[node]") {
  member server{{.name = "server", .listen = "127.0.0.1:0"}};
  server.node.offer("llm", spawn_echo(server.system, "I say "));
  auto address = "[127.0.0.1]:" + std::to_string(server.node.port());
  member client{{.name = "client", .join = {address}}};
  auto llm = client.node.find<llm_actor>("llm", {.only_from = address});
  caf::scoped_actor self{client.system};
  REQUIRE(client.node.wait_for_peers(1, 5s));
  CHECK(text_of(generate(self, llm, std::string{"x"}, 5s)) == "I say x");
  CHECK(refusal_of([&] {
    client.node.find<llm_actor>("llm", {.only_from = "nonsense"});
  }).find("HOST:PORT") != std::string::npos);
}

TEST_CASE("without TLS, a node does not join other machines", "[node]") {
  node_log log;
  member client{{.name = "client", .join = {"192.0.2.1:4700"}, .log = log.writer()}};
  CHECK(eventually([&] { return log.has("192.0.2.1:4700 is another machine"); }));
}

} // namespace node_test

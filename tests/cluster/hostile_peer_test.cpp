// A peer that speaks CAF's protocol, wrongly.
#include <chainmail/caf/compat.hpp>
#include <chainmail/cluster/frame_rules.hpp>
#include <chainmail/cluster/node_core.hpp>
#include <chainmail/llm/scripted_llm.hpp>

#include <caf/binary_deserializer.hpp>
#include <caf/binary_serializer.hpp>
#include <caf/exit_reason.hpp>
#include <caf/io/basp/header.hpp>
#include <caf/system_messages.hpp>
#include <catch2/catch_test_macros.hpp>

#include <arpa/inet.h>
#include <fstream>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <random>
#include <support/http_calls.hpp>
#include <support/member.hpp>
#include <support/process.hpp>
#include <sys/socket.h>
#include <unistd.h>

namespace hostile_peer_test {

using namespace chainmail;
using namespace chainmail::test;
using namespace std::literals;
using caf::io::basp::header;
using caf::io::basp::message_type;

namespace {

/// Resident memory of this process.
size_t resident_bytes() {
  std::ifstream file{"/proc/self/statm"};
  size_t pages = 0;
  file >> pages >> pages;
  return pages * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

/// A connection of bytes.
class raw_peer {
public:
  explicit raw_peer(uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0)
      throw std::runtime_error{"the node does not accept connections"};
    auto one = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  }
  raw_peer(const raw_peer&) = delete;
  raw_peer& operator=(const raw_peer&) = delete;
  ~raw_peer() { close(fd_); }

  bool send(const caf::byte_buffer& bytes) {
    return ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(bytes.size());
  }

  /// Of the actor that the node's handshake names; 0 when there is none.
  caf::actor_id receive_gate() {
    caf::byte_buffer bytes(caf::io::basp::header_size);
    header head;
    caf::actor_id result = 0;
    caf::node_id node;
    std::vector<std::string> words;
    if (recv(fd_, bytes.data(), bytes.size(), MSG_WAITALL) != static_cast<ssize_t>(bytes.size()))
      return 0;
    auto source = compat::reader_of(bytes);
    if (!source.apply(head))
      return 0;
    caf::byte_buffer payload(head.payload_len);
    if (recv(fd_, payload.data(), payload.size(), MSG_WAITALL) !=
        static_cast<ssize_t>(payload.size()))
      return 0;
    auto content = compat::reader_of(payload);
    return content.apply(node) && content.apply(words) && content.apply(result) ? result : 0;
  }

  /// Whether the node ends the connection within that time; reads what it says until then.
  bool is_ended(std::chrono::milliseconds within) {
    timeval time{0, 1'000};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time));
    std::array<char, 4'096> some{};
    for (auto until = clock::now() + within; clock::now() < until;) {
      auto count = recv(fd_, some.data(), some.size(), 0);
      if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR))
        return true;
    }
    return false;
  }

private:
  int fd_;
};

struct hostile_party {
  member victim{{.name = "victim", .listen = "127.0.0.1:0"}};
  member friendly{{.name = "friendly", .join = {victim.address()}}};
  llm_actor llm = friendly.node.find<llm_actor>("llm");
  std::mt19937 random{11};

  hostile_party() {
    victim.node.offer("llm", spawn_scripted_llm(victim.system, [](const llm_request& request) {
      return scripted_reply{"re: " + request.prompts.front(), {}, {}};
    }));
    REQUIRE(friendly.node.wait_for_peers(1, 10s));
    check_alive();
  }

  void check_alive() {
    caf::scoped_actor self{friendly.system};
    auto answer = generate(self, llm, std::string{"hello"}, 10s);
    INFO((answer ? "" : describe(answer.error())));
    REQUIRE(answer);
    CHECK(answer->text() == "re: hello");
  }

  size_t below(size_t end) { return std::uniform_int_distribution<size_t>{0, end - 1}(random); }

  caf::node_id some_node() {
    caf::hashed_node_id::host_id_type host{};
    for (auto& each : host)
      each = static_cast<uint8_t>(below(256));
    return caf::make_node_id(static_cast<uint32_t>(random()), host);
  }

  template <class... Ts>
  caf::byte_buffer frame(message_type type, uint64_t to, const Ts&... xs) {
    caf::byte_buffer payload;
    auto sink = compat::writer_to(victim.system, payload);
    auto ok = (sink.apply(xs) && ... && true);
    REQUIRE(ok);
    auto is_message = type == message_type::direct_message;
    header head{type, 0, static_cast<uint32_t>(payload.size()),
        is_message ? caf::make_message_id(below(1'000) + 1).integer_value() : 0,
        is_message ? below(50) + 1 : 0, to};
    caf::byte_buffer result;
    auto out = compat::writer_to(victim.system, result);
    ok = out.apply(head);
    REQUIRE(ok);
    result.insert(result.end(), payload.begin(), payload.end());
    return result;
  }

  template <class... Ts>
  caf::byte_buffer message(uint64_t to, const Ts&... xs) {
    if constexpr (compat::messages_have_stages)
      return frame(message_type::direct_message, to, std::vector<caf::strong_actor_ptr>{},
          caf::make_message(xs...));
    else
      return frame(message_type::direct_message, to, caf::make_message(xs...));
  }

  caf::byte_buffer handshake(const caf::node_id& from) {
    return frame(message_type::client_handshake, 0, from);
  }

  caf::byte_buffer any_frame(const caf::node_id& from) {
    auto to = below(200) + 1; // actor IDs count up: some of these exist
    switch (below(9)) {
    case 0:
      return message(to, join_atom_v, node_hello{cluster_protocol, caf_version(), "evil", {}});
    case 1:
      return message(to, announce_atom_v, std::vector<service>(below(3)));
    case 2:
      return message(to, generate_atom_v, llm_request{{"tell me"}, {}, {}, {}}, call_context{});
    case 3:
      return message(to, call_atom_v, values{{"x", std::string{"y"}}}, call_context{});
    case 4:
      return message(
          to, spawn_atom_v, chain_spec{"llm_chain", {{"template", "{x}"}}}, call_context{});
    case 5:
      return message(to, make_failure(errc::internal, "a surprise"));
    case 6:
      return frame(message_type::monitor_message, to, from, victim.system.node());
    case 7:
      return message(to, cancel_atom_v, call_id{random(), 0});
    default:
      return message(to, status_atom_v);
    }
  }

  void mutate(caf::byte_buffer& bytes) {
    for (auto n = below(3) + 1; n > 0; --n) {
      auto at = bytes.begin() + static_cast<ptrdiff_t>(below(bytes.size()));
      switch (below(4)) {
      case 0:
        *at = static_cast<caf::byte_buffer::value_type>(below(256));
        break;
      case 1:
        *at = static_cast<caf::byte_buffer::value_type>(
            static_cast<unsigned>(*at) ^ (1U << below(8)));
        break;
      case 2:
        bytes.insert(at, static_cast<caf::byte_buffer::value_type>(below(256)));
        break;
      default:
        if (bytes.size() > 1)
          bytes.erase(at);
      }
    }
  }

  /// Each connection until the node has enough of it.
  void send_mutated(size_t count) {
    while (count > 0) {
      raw_peer evil{victim.node.port()};
      auto me = some_node();
      auto hello = handshake(me);
      if (below(4) == 0) {
        mutate(hello);
        --count;
      }
      auto is_open = evil.send(hello);
      for (auto n = below(30); is_open && n > 0 && count > 0; --n, --count) {
        auto next = any_frame(me);
        if (below(3) != 0)
          mutate(next);
        is_open = evil.send(next);
      }
    }
  }
};

} // namespace

TEST_CASE("mutated messages neither crash a node nor make it grow", "[hostile_peer]") {
  hostile_party party;
  party.send_mutated(10'000);
  party.check_alive();
  std::this_thread::sleep_for(1'500ms); // what is left of silent connections goes
  auto files = open_files();
  auto before = resident_bytes();
  party.send_mutated(90'000);
  party.check_alive();
  CHECK(eventually([&] { return open_files() <= files + 5; }, 5s));
  auto grown = resident_bytes() > before ? resident_bytes() - before : 0;
  INFO("grown by " << grown / 1'024 << " KiB");
  if (slowness == 1) // AddressSanitizer keeps what was freed
    CHECK(grown < size_t{16} << 20U);
  CHECK(party.victim.node.status().peers == std::vector<std::string>{"friendly"});
}

TEST_CASE("frames that would end CAF end their connection", "[hostile_peer]") {
  hostile_party party;
  auto me = party.some_node();
  auto is_refused = [&](const std::vector<caf::byte_buffer>& frames) {
    raw_peer evil{party.victim.node.port()};
    for (const auto& each : frames)
      evil.send(each);
    auto result = evil.is_ended(800ms);
    party.check_alive();
    return result;
  };
  auto empty_handshake = party.frame(message_type::client_handshake, 0);
  CHECK(is_refused({empty_handshake}));
  auto huge = party.message(1, std::string{"x"});
  // The header's third field, in network order: 4 GiB are to come.
  std::fill_n(huge.begin() + 4, 4, caf::byte_buffer::value_type{0xff});
  CHECK(is_refused({party.handshake(me), huge}));
  CHECK(is_refused({party.handshake(party.victim.system.node())}));
  CHECK(is_refused({party.message(1, std::string{"x"})}));
  auto of_nobody = party.message(1, std::string{"x"});
  std::fill_n(of_nobody.begin() + 16, 8, caf::byte_buffer::value_type{0});
  CHECK(is_refused({party.handshake(me), of_nobody}));
  for (uint64_t to = 1; to < 60; to += 20)
    CHECK(is_refused(
        {party.handshake(me), party.message(to, caf::make_message(caf::make_message(1)))}));
}

TEST_CASE("that an actor is gone does not end the connection", "[hostile_peer]") {
  hostile_party party;
  raw_peer peer{party.victim.node.port()};
  auto core = peer.receive_gate();
  peer.send(party.handshake(party.some_node()));
  auto bounced = party.message(core, caf::make_error(caf::sec::request_receiver_down));
  caf::byte_buffer ids;
  auto sink = compat::writer_to(ids);
  REQUIRE(sink.apply(caf::make_message_id(3).response_id().integer_value()));
  REQUIRE(sink.apply(uint64_t{0})); // CAF answers for it, without a sender
  std::copy(ids.begin(), ids.end(), bounced.begin() + 8);
  peer.send(bounced);
  CHECK(!peer.is_ended(300ms));
}

TEST_CASE("who connects and says nothing is disconnected", "[hostile_peer]") {
  hostile_party party;
  raw_peer silent{party.victim.node.port()};
  CHECK(silent.is_ended(2s));
}

TEST_CASE("connections are bounded", "[hostile_peer]") {
  hostile_party party;
  std::vector<std::unique_ptr<raw_peer>> crowd;
  for (auto i = 0; i < 1'200; ++i)
    crowd.push_back(std::make_unique<raw_peer>(party.victim.node.port()));
  CHECK(crowd.back()->is_ended(900ms));
  party.check_alive();
}

TEST_CASE("a node cannot answer what another one was asked", "[hostile_peer]") {
  hostile_party party;
  member holder{{.name = "holder", .listen = "127.0.0.1:0"}};
  holder.node.offer("slow", spawn_scripted_llm(holder.system, [](const llm_request&) {
    return scripted_reply{"the truth", {}, 500ms};
  }));
  member asker{{.name = "asker", .listen = "127.0.0.1:0", .join = {holder.address()}}};
  auto slow = asker.node.find<llm_actor>("slow");
  REQUIRE(asker.node.wait_for_peers(1, 5s));
  auto work = std::async(std::launch::async, [&] {
    caf::scoped_actor self{asker.system};
    auto answer = generate(self, slow, std::string{"x"}, 10s);
    return answer ? answer->text() : describe(answer.error());
  });
  REQUIRE(eventually([&] { return holder.node.status().services.front().in_flight == 1; }));
  llm_result lie;
  lie.completions.push_back({"a lie", "stop"});
  for (auto port : {asker.node.port(), holder.node.port()}) {
    raw_peer liar{port};
    liar.send(party.handshake(party.some_node()));
    // Any of its actors, any of their requests.
    for (uint64_t to = 1; to < 60; ++to)
      for (uint64_t id = 1; id < 20; ++id) {
        auto bytes = party.message(to, lie);
        caf::byte_buffer mid;
        auto sink = compat::writer_to(mid);
        REQUIRE(sink.apply(caf::make_message_id(id).response_id().integer_value()));
        std::copy(mid.begin(), mid.end(), bytes.begin() + 8);
        liar.send(bytes);
      }
    CHECK(!liar.is_ended(50ms)); // what it sent was read
  }
  CHECK(work.get() == "the truth");
}

TEST_CASE("the actors that a node may name are bounded", "[hostile_peer]") {
  hostile_party party;
  auto me = party.some_node();
  raw_peer evil{party.victim.node.port()};
  auto core = evil.receive_gate();
  REQUIRE(core != 0);
  evil.send(party.handshake(me));
  auto next = uint64_t{1};
  auto is_ended = false;
  for (auto n = 0; n < 10 && !is_ended; ++n) {
    caf::byte_buffer handles;
    auto sink = compat::writer_to(handles);
    auto ok = sink.begin_sequence(2'000);
    for (auto i = 0; ok && i < 2'000; ++i)
      ok = sink.apply(std::string{"llm"}) && sink.apply(std::string{"llm"}) &&
           sink.apply(uint32_t{1}) && sink.apply(false) && sink.apply(next++) && sink.apply(me);
    REQUIRE(ok);
    auto bytes = party.message(core, announce_atom_v, std::vector<service>{});
    bytes.pop_back(); // the length of no services
    bytes.insert(bytes.end(), handles.begin(), handles.end());
    caf::byte_buffer length;
    auto head = compat::writer_to(length);
    REQUIRE(head.apply(static_cast<uint32_t>(bytes.size() - caf::io::basp::header_size)));
    std::copy(length.begin(), length.end(), bytes.begin() + 4);
    // All from one actor.
    std::fill_n(bytes.begin() + 16, 7, caf::byte_buffer::value_type{0});
    bytes[23] = caf::byte_buffer::value_type{7};
    is_ended = !evil.send(bytes) || evil.is_ended(50ms);
  }
  CHECK(is_ended);
  party.check_alive();
}

TEST_CASE("who comes back while its last words are read is heard", "[hostile_peer]") {
  hostile_party party;
  auto slow = party.message(
      0, embed_atom_v, embed_request{std::vector<std::string>(2'000'000)}, call_context{});
  for (auto round = 0; round < 3; ++round) {
    {
      raw_peer leaving{party.victim.node.port()};
      auto core = leaving.receive_gate();
      REQUIRE(core != 0);
      leaving.send(party.handshake(party.some_node()));
      slow[31] = static_cast<caf::byte_buffer::value_type>(core);
      for (auto i = 0; i < 3; ++i)
        leaving.send(slow);
      std::this_thread::sleep_for(20ms);
    }
    std::this_thread::sleep_for(5ms);
    raw_peer again{party.victim.node.port()};
    auto core = again.receive_gate();
    again.send(party.handshake(party.some_node()));
    for (auto i = 0; i < 8; ++i) {
      again.send(party.message(core, status_atom_v));
      REQUIRE(!again.is_ended(100ms));
    }
  }
}

} // namespace hostile_peer_test

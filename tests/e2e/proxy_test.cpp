#include <catch2/catch_test_macros.hpp>

#include <support/recording_proxy.hpp>
#include <support/tcp_socket.hpp>
#include <thread>

namespace proxy_test {

using namespace chainmail::test;
using namespace std::literals;

namespace {

struct connected_through {
  tcp_socket listener = tcp_socket::listening("127.0.0.1");
  recording_proxy proxy{listener.port()};
  tcp_socket client = tcp_socket::connected("127.0.0.1", proxy.port());
  tcp_socket server = listener.accept();
};

} // namespace

TEST_CASE("a proxy passes bytes both ways and keeps them") {
  connected_through way;
  way.client.send("question");
  CHECK(way.server.receive() == "question");
  way.server.send("answer");
  CHECK(way.client.receive() == "answer");
  CHECK(way.proxy.recorded() == "questionanswer");
}

TEST_CASE("a proxy that swallows holds both directions, and lets them go later") {
  connected_through way;
  way.proxy.swallow(true);
  way.client.send("to the server");
  way.server.send("to the client");
  CHECK_FALSE(way.server.receive(50ms));
  CHECK_FALSE(way.client.receive(10ms));
  CHECK(way.proxy.recorded().empty());
  way.proxy.swallow(false);
  CHECK(way.server.receive() == "to the server");
  CHECK(way.client.receive() == "to the client");
}

TEST_CASE("a proxy that swallows tells nobody of an end") {
  connected_through way;
  way.proxy.swallow(true);
  { auto gone = std::move(way.client); }
  CHECK_FALSE(way.server.receive(50ms));
  way.proxy.swallow(false);
  CHECK(way.server.receive() == "");
}

TEST_CASE("a proxy passes the end of one direction on and leaves the other open") {
  connected_through way;
  way.client.end();
  CHECK(way.server.receive() == "");
  way.server.send("still here");
  CHECK(way.client.receive() == "still here");
}

TEST_CASE("a proxy passes more than it holds") {
  connected_through way;
  std::string sent(size_t{8} << 20U, 'x');
  std::thread sender{[&] { way.client.send(sent); }};
  size_t received = 0;
  while (received < sent.size()) {
    auto some = way.server.receive();
    if (!some || some->empty())
      break;
    received += some->size();
  }
  sender.join();
  CHECK(received == sent.size());
}

TEST_CASE("a proxy closes the connections that it has nowhere to pass on to") {
  auto unused = [] { return tcp_socket::listening("127.0.0.1").port(); }();
  recording_proxy proxy{unused};
  auto client = tcp_socket::connected("127.0.0.1", proxy.port());
  CHECK(client.receive() == "");
}

} // namespace proxy_test

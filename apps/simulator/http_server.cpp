// The HTTP side of the simulator: connections, faults, latency and counting, on one thread.

#include "endpoint.hpp"
#include "http_connection.hpp"
#include "http_streams.hpp"
#include "simulator.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include <algorithm>
#include <array>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <tuple>
#include <utility>

namespace chainmail::simulator {

namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using parser_type = http::request_parser<http::string_body>;

constexpr std::uint64_t longest_body = std::uint64_t{64} << 20U;

std::string_view view(beast::string_view text) {
  return {text.data(), text.size()};
}

} // namespace

// -- the server ---------------------------------------------------------------

class server::impl {
public:
  explicit impl(const options& opts) : endpoint_(opts) {
    listen(opts.host, opts.port);
    asio::co_spawn(*io_, accept_all(), asio::detached);
    thread_ = std::thread([this] { io_->run(); });
  }

  ~impl() { stop(); }

  impl(const impl&) = delete;
  impl& operator=(const impl&) = delete;

  void stop() {
    if (!thread_.joinable())
      return;
    io_->stop();
    thread_.join();
    acceptor_.reset();
    io_.reset(); // destroys the suspended coroutines, and with them their sockets
  }

  const tcp::endpoint& address() const { return address_; }
  stats snapshot() const { return counters_.read(); }
  void set_outage(bool is_on) { endpoint_.set_outage(is_on); }

private:
  // -- listening --------------------------------------------------------------

  void listen(const std::string& host, std::uint16_t port) {
    error_code error;
    auto parsed = asio::ip::make_address(host, error);
    if (error || !parsed.is_loopback())
      throw std::runtime_error(
          "the simulator serves loopback addresses only, such as 127.0.0.1; '" + host +
          "' is none");
    address_ = tcp::endpoint(parsed, port);
    acceptor_.emplace(io_->get_executor());
    acceptor_->open(address_.protocol(), error);
    if (!error)
      acceptor_->set_option(acceptor_type::reuse_address(true), error);
    if (!error)
      acceptor_->bind(address_, error);
    if (!error)
      acceptor_->listen(acceptor_type::max_listen_connections, error);
    if (!error)
      acceptor_->non_blocking(true, error);
    if (error) {
      auto reason = error == asio::error::address_in_use
                        ? "the port is taken; choose another one, or 0 for any that is free"
                        : error.message();
      throw std::runtime_error("the simulator cannot listen on " + host + " port " +
                               std::to_string(port) + ": " + reason);
    }
    address_ = acceptor_->local_endpoint();
  }

  awaitable<void> accept_all() {
    constexpr int at_once = 256; // then the connections get their turn
    constexpr auto pause = std::chrono::milliseconds(20);
    timer_type retry(io_->get_executor());
    for (;;) {
      auto [error] = co_await acceptor_->async_wait(acceptor_type::wait_read, with_error);
      for (int i = 0; i < at_once && !error; ++i) {
        socket_type socket(io_->get_executor());
        acceptor_->accept(socket, error);
        if (!error)
          start(std::move(socket));
      }
      // Out of file descriptors: clients wait in the kernel's queue until some are free.
      if (error && error != asio::error::would_block && error != asio::error::connection_aborted) {
        retry.expires_after(pause);
        co_await retry.async_wait(with_error);
      }
    }
  }

  void start(socket_type socket) {
    error_code ignored;
    socket.non_blocking(true, ignored);
    socket.set_option(tcp::no_delay(true), ignored);
    auto client = std::make_shared<connection>(std::move(socket), counters_);
    asio::co_spawn(io_->get_executor(), serve(std::move(client)), asio::detached);
  }

  // -- serving ----------------------------------------------------------------

  awaitable<void> serve(std::shared_ptr<connection> client) {
    try {
      while (auto decided = co_await read_request(*client))
        if (!co_await carry_out(*client, std::move(*decided)))
          break;
    } catch (const std::exception&) {
      // Out of memory, most likely: this client loses its connection, the others keep theirs.
    }
    // Explicitly, because a watch keeps the connection alive until its socket closes.
    error_code ignored;
    client->socket.close(ignored);
  }

  /// Empty: the client left, or sent something that is not HTTP and was told so.
  awaitable<std::optional<plan>> read_request(connection& client) {
    constexpr std::size_t shortest_read = 1024;
    constexpr std::size_t longest_read = std::size_t{64} << 10U;
    auto& input = client.input;
    parser_type parser;
    parser.eager(true);
    parser.body_limit(longest_body);
    bool was_encouraged = false;
    for (;;) {
      error_code error;
      if (input.size() > 0)
        input.consume(parser.put(input.data(), error));
      if (error && error != http::error::need_more) {
        co_await refuse(client, error);
        co_return std::nullopt;
      }
      if (parser.is_done())
        break;
      if (parser.is_header_done() && !std::exchange(was_encouraged, true) &&
          beast::iequals(parser.get()[http::field::expect], "100-continue")) {
        constexpr std::string_view text = "HTTP/1.1 100 Continue\r\n\r\n";
        co_await asio::async_write(client.socket, asio::buffer(text), with_error);
      }
      std::uint64_t missing = shortest_read;
      if (parser.is_header_done())
        missing = parser.content_length_remaining().value_or(shortest_read);
      auto room = std::clamp<std::uint64_t>(missing, shortest_read, longest_read);
      auto space = input.prepare(static_cast<std::size_t>(room));
      auto [failed, size] = co_await client.socket.async_read_some(space, with_error);
      if (failed)
        co_return std::nullopt;
      input.commit(size);
    }
    client.received = steady_clock::now();
    if (input.capacity() > 4 * shortest_read)
      input.shrink_to_fit();
    co_return decide(parser.get(), client.received);
  }

  plan decide(const parser_type::value_type& request, steady_clock::time_point received) {
    request_view seen{.method = view(request.method_string()), .target = view(request.target())};
    seen.body = request.body();
    seen.authorization = view(request[http::field::authorization]);
    seen.api_key = view(request["api-key"]);
    if (seen.api_key.empty())
      seen.api_key = view(request["x-api-key"]);
    seen.anthropic_version = view(request["anthropic-version"]);
    seen.idempotency_key = view(request["idempotency-key"]);
    seen.keep_alive = request.keep_alive();
    seen.received = received;
    return endpoint_.decide(seen, counters_.read());
  }

  awaitable<void> refuse(connection& client, error_code why) {
    auto what =
        why == http::error::body_limit
            ? error_answer(413, "the body is longer than 64 MiB", "invalid_request_error")
            : error_answer(400, "this is not HTTP/1.1: " + why.message(), "invalid_request_error");
    counters_.change([](stats& s) {
      ++s.requests;
      ++s.refused;
    });
    auto text = http_text(what, false);
    co_await asio::async_write(client.socket, asio::buffer(text), with_error);
    // Closing now would make the kernel reset the connection if the client is still sending, and
    // the client would lose the answer.
    error_code ignored;
    client.socket.shutdown(socket_type::shutdown_send, ignored);
    std::array<char, 4096> rest;
    for (bool is_over = false; !is_over;) {
      auto [failed, size] = co_await client.socket.async_read_some(asio::buffer(rest), with_error);
      is_over = failed || size == 0;
    }
  }

  /// False: the connection is to be closed.
  awaitable<bool> carry_out(connection& client, plan decided) {
    count_start(counters_, decided);
    bool waits = decided.kind == fault::hang || decided.latency.count() > 0;
    auto due = decided.kind == fault::hang ? steady_clock::time_point::max()
                                           : client.received + decided.latency;
    if (waits && !co_await client.stays_until(due)) {
      count_abort(counters_, decided);
      co_return false;
    }
    if (decided.stream)
      co_return co_await send_stream(client, decided, counters_);
    std::string_view text = decided.text;
    if (decided.kind == fault::drip) {
      for (; text.size() > drip_piece; text.remove_prefix(drip_piece)) {
        auto piece = asio::buffer(text.substr(0, drip_piece));
        auto [failed, size] = co_await asio::async_write(client.socket, piece, with_error);
        if (failed || !co_await client.stays_until(steady_clock::now() + drip_pause)) {
          count_abort(counters_, decided);
          co_return false;
        }
      }
    }
    count_end(counters_, decided);
    error_code error;
    if (decided.kind == fault::reset) {
      client.reset_on_close();
      co_return false;
    }
    if (decided.kind == fault::truncated)
      text.remove_suffix(decided.body_size - decided.body_size / 2);
    std::tie(error, std::ignore) =
        co_await asio::async_write(client.socket, asio::buffer(text), with_error);
    co_return !error && decided.keep_alive;
  }

  endpoint endpoint_;
  counters counters_;
  tcp::endpoint address_;
  std::optional<asio::io_context> io_{std::in_place, 1};
  std::optional<acceptor_type> acceptor_;
  std::thread thread_;
};

// -- the public face ----------------------------------------------------------

server::server(const options& opts) : impl_(std::make_unique<impl>(opts)) {
}

server::~server() = default;

std::uint16_t server::port() const {
  return impl_->address().port();
}

std::string server::base_url() const {
  const auto& address = impl_->address();
  auto host = address.address().to_string();
  return "http://" + (address.address().is_v6() ? "[" + host + "]" : host) + ":" +
         std::to_string(address.port()) + "/v1";
}

stats server::snapshot() const {
  return impl_->snapshot();
}

void server::set_outage(bool is_on) {
  impl_->set_outage(is_on);
}

void server::stop() {
  impl_->stop();
}

} // namespace chainmail::simulator

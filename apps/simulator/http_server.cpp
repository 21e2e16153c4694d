// The HTTP side of the simulator: connections, faults, latency and counting, on one thread.

#include "endpoint.hpp"
#include "simulator.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
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

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;
using tcp = asio::ip::tcp;
using steady_clock = std::chrono::steady_clock;

// The concrete executor spares every operation the type erasure of any_io_executor.
using executor = asio::io_context::executor_type;
using socket_type = asio::basic_stream_socket<tcp, executor>;
using acceptor_type = asio::basic_socket_acceptor<tcp, executor>;
using timer_type =
    asio::basic_waitable_timer<steady_clock, asio::wait_traits<steady_clock>, executor>;
using parser_type = http::request_parser<http::string_body>;
template <class T>
using awaitable = asio::awaitable<T, executor>;

constexpr auto with_error = asio::as_tuple(asio::use_awaitable_t<executor>{});

constexpr std::uint64_t longest_body = std::uint64_t{64} << 20U;
constexpr auto drip_pause = std::chrono::milliseconds(50);
constexpr std::size_t drip_piece = 48;

std::string_view view(beast::string_view text) {
  return {text.data(), text.size()};
}

// -- one connection -----------------------------------------------------------

class connection : public std::enable_shared_from_this<connection> {
public:
  connection(socket_type accepted, counters& counted)
    : socket(std::move(accepted)), timer_(socket.get_executor()), counted_(counted) {
    counted_.change([](stats& s) {
      ++s.connections_accepted;
      s.most_connections_open = std::max(s.most_connections_open, ++s.connections_open);
    });
  }

  ~connection() {
    counted_.change([](stats& s) { --s.connections_open; });
  }

  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;

  /// False: the client left before `until`. One that shuts down only its sending half counts as
  /// gone.
  awaitable<bool> stays_until(steady_clock::time_point until) {
    timer_.expires_at(until);
    is_waiting_ = true;
    watch();
    co_await timer_.async_wait(with_error);
    is_waiting_ = false;
    co_return !has_left_;
  }

  socket_type socket;
  beast::flat_buffer input;          ///< received, not yet parsed
  steady_clock::time_point received; ///< when the last request was complete

private:
  /// Readiness while a request waits means that the client left, or sent its next request early;
  /// after that the watch is off until the next wait. A watch outlives its wait: taking it back
  /// would cost more than letting the next request trigger it.
  void watch() {
    if (std::exchange(is_watched_, true))
      return;
    socket.async_wait(socket_type::wait_read, [self = shared_from_this()](error_code error) {
      self->is_watched_ = false;
      if (error || !self->is_waiting_)
        return;
      char next = 0;
      self->socket.receive(asio::buffer(&next, 1), socket_type::message_peek, error);
      if (error == asio::error::would_block)
        self->watch();
      else if (error) {
        self->has_left_ = true;
        self->timer_.cancel();
      }
    });
  }

  timer_type timer_;
  counters& counted_;
  bool is_waiting_ = false;
  bool is_watched_ = false;
  bool has_left_ = false;
};

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
        if (!co_await carry_out(*client, *decided))
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
    begin(decided);
    bool waits = decided.kind == fault::hang || decided.latency.count() > 0;
    auto due = decided.kind == fault::hang ? steady_clock::time_point::max()
                                           : client.received + decided.latency;
    if (waits && !co_await client.stays_until(due)) {
      give_up(decided);
      co_return false;
    }
    std::string_view text = decided.text;
    if (decided.kind == fault::drip) {
      for (; text.size() > drip_piece; text.remove_prefix(drip_piece)) {
        auto piece = asio::buffer(text.substr(0, drip_piece));
        auto [failed, size] = co_await asio::async_write(client.socket, piece, with_error);
        if (failed || !co_await client.stays_until(steady_clock::now() + drip_pause)) {
          give_up(decided);
          co_return false;
        }
      }
    }
    finish(decided);
    error_code error;
    if (decided.kind == fault::reset) {
      client.socket.set_option(socket_type::linger(true, 0), error);
      co_return false; // closing sends the reset
    }
    if (decided.kind == fault::truncated)
      text.remove_suffix(decided.body_size - decided.body_size / 2);
    std::tie(error, std::ignore) =
        co_await asio::async_write(client.socket, asio::buffer(text), with_error);
    co_return !error && decided.keep_alive;
  }

  // -- counting ---------------------------------------------------------------

  void begin(const plan& decided) {
    if (decided.is_counted)
      counters_.change([&decided](stats& s) {
        ++s.requests;
        s.distinct_calls += decided.call == call_novelty::first ? 1 : 0;
        s.repeated_calls += decided.call == call_novelty::repeated ? 1 : 0;
        s.most_in_flight = std::max(s.most_in_flight, ++s.in_flight);
      });
  }

  void finish(const plan& decided) {
    if (decided.is_counted)
      counters_.change([&decided](stats& s) {
        --s.in_flight;
        ++counter_of(s, decided);
      });
  }

  void give_up(const plan& decided) {
    if (decided.is_counted)
      counters_.change([](stats& s) {
        --s.in_flight;
        ++s.aborted;
      });
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

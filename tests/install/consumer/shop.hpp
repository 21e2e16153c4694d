// An actor and messages of the application's own, with types that chainmail must leave to it.
#pragma once

#include <chainmail/chainmail.hpp>

#include <string>
#include <vector>

struct order {
  std::string product;
  uint32_t names = 0;
};

template <class Inspector>
bool inspect(Inspector& f, order& x) {
  return f.object(x).fields(f.field("product", x.product), f.field("names", x.names));
}

CAF_BEGIN_TYPE_ID_BLOCK(shop, caf::first_custom_type_id)

CAF_ADD_TYPE_ID(shop, (order))
CAF_ADD_TYPE_ID(shop, (std::vector<std::string>))
CAF_ADD_TYPE_ID(shop, (std::vector<uint64_t>))

CAF_END_TYPE_ID_BLOCK(shop)

using shop_actor = caf::typed_actor<caf::result<std::vector<std::string>>(order)>;

struct shop_state {
  shop_state(shop_actor::pointer self_ptr, chainmail::chain_actor chain)
    : self(self_ptr), namer(std::move(chain)) {}

  shop_actor::behavior_type make_behavior() {
    return {[this](const order& what) {
      std::vector<chainmail::values> inputs(what.names, {{"product", what.product}});
      auto answer = self->make_response_promise<std::vector<std::string>>();
      chainmail::gather(
          self, namer, inputs, {}, chainmail::make_context(self, std::chrono::seconds{30}))
          .then(
              [answer](const std::vector<chainmail::outcome>& outcomes) mutable {
                std::vector<std::string> names;
                for (const auto& outcome : outcomes) {
                  if (!outcome.ok())
                    return answer.deliver(outcome.error);
                  names.push_back(*chainmail::find_text(outcome.result, "text"));
                }
                answer.deliver(std::move(names));
              },
              [answer](caf::error& error) mutable { answer.deliver(std::move(error)); });
      return answer;
    }};
  }

  shop_actor::pointer self;
  chainmail::chain_actor namer;
};

inline shop_actor spawn_shop(caf::actor_system& system, chainmail::chain_actor namer) {
  return system.spawn<caf::stateful_actor<shop_state, shop_actor::impl>>(std::move(namer));
}

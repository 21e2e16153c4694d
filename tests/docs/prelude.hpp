// What a fragment of the documentation may use without having made it.
#pragma once

#include <chainmail/chainmail.hpp>

#include <iostream>

// A fragment may name a thing as it is named here, and leave it at that: none of them ever runs.
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wunused"

using namespace chainmail;
using namespace std::chrono_literals;

namespace snippets {

extern caf::actor_system& system;
extern caf::scoped_actor& self;
extern http_actor http;
extern llm_actor llm;
extern chain_actor chain;
extern chain_actor namer;
extern embedder_actor embedder;
extern vector_index_actor index;
extern retriever_actor retriever;
extern std::vector<document> documents;

} // namespace snippets

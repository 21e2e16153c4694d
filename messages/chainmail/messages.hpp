// The whole vocabulary in one include.
#pragma once

#include <chainmail/actors.hpp>
#include <chainmail/call_context.hpp>
#include <chainmail/chains.hpp>
#include <chainmail/cluster.hpp>
#include <chainmail/errors.hpp>
#include <chainmail/http.hpp>
#include <chainmail/limits.hpp>
#include <chainmail/llm.hpp>
#include <chainmail/retrieval.hpp>
#include <chainmail/type_ids.hpp>
#include <chainmail/values.hpp>
#include <chainmail/version.hpp>

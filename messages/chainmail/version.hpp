// The version of chainmail, for the preprocessor: CMakeLists.txt reads it here.
#pragma once

// Semantic versioning: while the major number is 0, a new minor number may break what used it.
#define CHAINMAIL_VERSION_MAJOR 0
#define CHAINMAIL_VERSION_MINOR 1
#define CHAINMAIL_VERSION_PATCH 0

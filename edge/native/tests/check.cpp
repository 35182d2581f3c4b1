// Parts of the runner against what Python computes:
//   priorraw-check tiles VECTORS.json       the tile planner against tests/vectors/tiles.json
//   priorraw-check thumbnail PICTURE OUT    writes the thumbnail (3, 64, 64) float32 of a picture

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "error.h"
#include "tiles.h"

namespace {

using namespace priorraw;
using Json = nlohmann::json;

Json planned(const Json& layout) {
    const auto axis = [&](const char* length) {
        return plan_axis(layout.at(length), layout.at("tile"), layout.at("halo"), layout.at("align"));
    };
    Json tiles = Json::array();
    for (const Span& rows : axis("height")) {
        for (const Span& columns : axis("width")) {
            tiles.push_back({rows.origin, columns.origin, rows.start, rows.stop, columns.start, columns.stop});
        }
    }
    return tiles;
}

bool refused(const Json& layout) {
    try {
        planned(layout);
        return false;
    } catch (const InputError&) {
        return true;
    }
}

int check_tiles(const char* path) {
    int wrong = 0, checked = 0;
    const auto check = [&](const Json& layout, bool right) {
        ++checked;
        if (right) return;
        ++wrong;
        std::fprintf(stderr, "planned otherwise: %s\n", layout.dump().c_str());
    };
    const Json vectors = Json::parse(std::ifstream(path));
    for (const Json& layout : vectors.at("layouts")) check(layout, planned(layout) == layout.at("tiles"));
    for (const Json& layout : vectors.at("refused")) check(layout, refused(layout));
    std::printf("%d of %d layouts as planned by Python\n", checked - wrong, checked);
    return wrong || !checked;
}

int write_thumbnail(const char* picture, const char* out) {
    const auto thumbnail = thumbnail_of(read_picture(picture, std::nullopt), 64);
    std::ofstream(out, std::ios::binary)
        .write(reinterpret_cast<const char*>(thumbnail.data()),
               static_cast<std::streamsize>(thumbnail.size() * sizeof(float)));
    return 0;
}

}  // namespace

int main(int count, char** arguments) {
    const std::string what = count > 1 ? arguments[1] : "";
    try {
        if (what == "tiles" && count == 3) return check_tiles(arguments[2]);
        if (what == "thumbnail" && count == 4) return write_thumbnail(arguments[2], arguments[3]);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "priorraw-check: %s\n", error.what());
        return 2;
    }
    std::fputs("usage: priorraw-check tiles VECTORS.json | thumbnail PICTURE OUT\n", stderr);
    return 2;
}

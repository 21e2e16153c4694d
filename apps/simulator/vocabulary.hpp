// The words that brand names are made of: by product, and by the mood that an adjective sets.

#pragma once

#include <array>
#include <string_view>

namespace chainmail::simulator {

/// Words are separated by single spaces. One of `triggers` in a prompt brings in `words`.
struct word_group {
  std::string_view triggers;
  std::string_view words;
};

/// First halves of a name, when an adjective sets the tone.
inline constexpr std::array moods = {
    word_group{"colorful colourful color colour colors bright rainbow vibrant patterned striped "
               "neon funky",
        "Prism Confetti Kaleido Vivid Chroma Carnival Fiesta Crayon Palette Pinwheel Peacock "
        "Jellybean "
        "Technicolor Mosaic Popsicle Parakeet Magenta Tangerine Hopscotch Paintbox Harlequin "
        "Papaya "
        "Lollipop Bright Rainbow Bluebird Firefly Sherbet Festoon"},
    word_group{"eco eco-friendly ecological sustainable green organic recycled natural vegan "
               "biodegradable "
               "compostable renewable reusable solar",
        "Evergreen Fern Moss Seedling Verdant Canopy Meadow Clover Terra Rewild Willow Acorn "
        "Sapling "
        "Wildroot Thistle Juniper Hazel Birch Bramble Heath Sorrel Wren Tern"},
    word_group{
        "luxury luxurious premium elegant handmade bespoke artisanal artisan fine designer vintage",
        "Velvet Gilded Ivory Sable Sterling Aurelia Opaline Regent Belvedere Argent Laurel Monarch "
        "Wexford Halcyon Marlowe Ashby Verity Calloway Beaumont Larkspur Alder Sinclair Hawthorne"},
    word_group{"warm cozy cosy wool woolen woollen winter knitted fluffy soft comfortable comfy",
        "Hearth Ember Snug Cocoa Flannel Thistle Fireside Alpine Lambkin Nordic Toasty Burrow "
        "Cinder "
        "Marmot Dovetail Mitten Hygge Bramble Larder Chestnut Nutmeg Cinnamon Highland"},
    word_group{"kids kid children childrens child baby babies toddler toddlers playful funny silly",
        "Giggle Pocket Tumble Bumble Doodle Pippin Wiggle Noodle Puddle Bounce Tiddly Hopscotch "
        "Pebble "
        "Snickerdoodle Muffin Biscuit Whistle Hoot Poppet Firefly Dandelion Ziggy Bobbin"},
    word_group{"smart fast electric digital quantum modern autonomous flying software ai robot "
               "robots apps app",
        "Volt Lumen Vector Nimbus Orbit Axiom Quanta Helio Pulse Arc Northstar Zephyr Nova Vertex "
        "Beacon "
        "Relay Tandem Comet Ion Meridian Cobalt Argo Lyra"},
};

/// First halves when nothing sets the tone.
inline constexpr std::string_view plain_mood =
    "Juniper Marigold Copper Northwind Willow Ember Harbor Clover Sparrow Amber Lantern Cedar Wren "
    "Saffron Tandem Meadow Birch Fable Pepper Aurora Maple Otter Plum Summit Velvet Bramble Cobalt "
    "Poppy Linden Tidewater Bright";

/// Second halves, by product.
inline constexpr std::array products = {
    word_group{"sock socks stocking stockings hosiery tights",
        "Sock Toe Heel Stitch Step Ankle Knit Sole"},
    word_group{"shoe shoes sneaker sneakers boot boots footwear slippers sandals",
        "Sole Stride Lace Step Heel Tread Cobbler Mile"},
    word_group{
        "shirt shirts t-shirt t-shirts dress dresses clothes clothing apparel fashion jeans jacket "
        "jackets sweater sweaters hat hats scarves pajamas underwear",
        "Thread Stitch Weave Tailor Button Loom Seam Cloth"},
    word_group{"toothpaste toothbrush toothbrushes teeth dental mouthwash floss",
        "Smile Mint Pearl Enamel Brush Grin Molar Fresh"},
    word_group{"soap soaps shampoo cosmetics makeup skincare perfume lotion",
        "Lather Bloom Petal Glow Suds Balm Rinse Dew"},
    word_group{"coffee espresso cappuccino", "Roast Bean Brew Crema Grind Cup Mug Kettle"},
    word_group{"tea teas", "Leaf Steep Kettle Infusion Teapot Cup Chai Blossom"},
    word_group{"bread bakery cake cakes cookie cookies pastry pastries donuts bagels muffins",
        "Crumb Crust Loaf Oven Dough Whisk Flour Crumpet"},
    word_group{"chocolate chocolates candy candies sweets ice-cream gelato dessert desserts",
        "Truffle Cocoa Sugar Scoop Bonbon Praline Sprinkle Nibble"},
    word_group{"beer beers ale wine wines cider whiskey gin brewery",
        "Barrel Cask Hop Vine Cork Press Still Tap"},
    word_group{
        "restaurant food foods pizza pasta sushi burger burgers noodles meals snacks cheese sauce",
        "Table Fork Kitchen Plate Spoon Larder Basil Pantry"},
    word_group{"furniture chair chairs table tables sofa sofas desk desks bed beds mattress",
        "Oak Joinery Timber Nook Grain Hearth Mortise Plank"},
    word_group{
        "toy toys game games puzzle puzzles lego", "Jack Block Kite Puzzle Marble Top Dice Yoyo"},
    word_group{"book books stationery notebook notebooks pen pens pencil pencils paper",
        "Page Quill Ink Folio Chapter Margin Binding Press"},
    word_group{"bike bikes bicycle bicycles scooter scooters",
        "Spoke Pedal Wheel Saddle Gear Cycle Chain Ride"},
    word_group{"car cars vehicle vehicles truck trucks plane planes drone drones rocket rockets",
        "Motor Drive Wing Axle Torque Flight Route Engine"},
    word_group{"software app apps ai website websites computer computers chip chips laptop laptops "
               "robot robots "
               "data cloud",
        "Byte Stack Loop Forge Circuit Kernel Logic Pixel"},
    word_group{"phone phones headphones speaker speakers camera cameras music guitars",
        "Signal Tone Echo Lens Chord Tune Dial Note"},
    word_group{"dog dogs cat cats pet pets puppy kitten",
        "Paw Tail Whisker Fetch Bark Kennel Collar Snout"},
    word_group{"plant plants flower flowers garden gardens gardening seeds florist",
        "Bloom Stem Petal Root Trowel Thicket Vine Garden"},
    word_group{"candle candles lamp lamps light lights lighting lantern lanterns",
        "Wick Glow Flame Lumen Beam Shade Spark Taper"},
    word_group{
        "bag bags backpack backpacks wallet wallets luggage suitcase suitcases umbrella umbrellas",
        "Carry Satchel Buckle Strap Voyage Canvas Rucksack Pocket"},
    word_group{"water bottle bottles mug mugs cup cups glass glasses pottery ceramics",
        "Spring Flask Sip Kiln Well Vessel Brook Glaze"},
    word_group{"jewelry jewellery ring rings watch watches necklace necklaces earrings",
        "Gem Clasp Karat Jewel Facet Locket Chime Dial"},
};

/// Second halves when the product is unknown.
inline constexpr std::string_view plain_product = "Craft Forge Lane Field Mill House Kin Row";

} // namespace chainmail::simulator

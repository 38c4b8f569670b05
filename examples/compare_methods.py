"""Which method is best on digits at several strengths of noise, and is the difference sure?

python examples/compare_methods.py [COUNT]
"""

import sys

import quietpixel

count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
found = quietpixel.compare(
    ["mnist-unet", "median"],
    "digits",
    noise=["gaussian:0.3,clip=no", "gaussian:0.5,clip=no"],
    count=count,
)
for table in found.tables:
    print(table.noise)
    for row in table.rows:
        print(f"  {row.name:<12} {row.means['psnr']:.2f} dB")
    for difference in table.differences:
        if difference.measure == "psnr":
            low, high = difference.interval
            sure = "surely" if low > 0 or high < 0 else "not surely"
            print(
                f"  {difference.name} {sure} differs from {difference.than}: "
                f"{low:.2f} to {high:.2f}"
            )

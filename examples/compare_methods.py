"""Which method is best on digits at several strengths of noise, and is the difference certain?

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
            verb = "differs" if low > 0 or high < 0 else "may not differ"
            print(f"  {difference.name} {verb} from {difference.than}: {low:.2f} to {high:.2f}")

"""What theory says of scales, without torch: fans, gains, and the variance of each scheme."""

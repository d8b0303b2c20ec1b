"""The rules, one file each: code, manual, source and judgement."""

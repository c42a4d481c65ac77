"""The machine we stand on. `freehold doctor` is three steps: `collect` looks, `facts` are what it saw,
`checks` says what that means for an operator. `doctor.run_checks` does all three.
"""

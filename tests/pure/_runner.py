# Runs one pure test file on MicroPython: micropython tests/pure/_runner.py tests.pure.test_money
# Imports it, calls every test_ function in the order of their names, prints each traceback and the
# count. Exit code 1 when one failed, 2 when there was none to run. Plain code: it runs on
# MicroPython, not under pytest.
import sys


def run(name):
    __import__(name)
    module = sys.modules[name]
    tests = [
        key
        for key in sorted(dir(module))
        if key.startswith("test_") and callable(getattr(module, key))
    ]
    if not tests:
        print("ERROR: no test_ function in", name)
        return 2
    failed = 0
    for test in tests:
        try:
            getattr(module, test)()
        except Exception as error:  # noqa: BLE001 - whatever a test raises is its failure
            failed += 1
            print("FAILED", name + "." + test)
            sys.print_exception(error)
    print(len(tests), "tests,", failed, "failed")
    return 1 if failed else 0


sys.exit(run(sys.argv[1]))

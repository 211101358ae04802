"""The `__main__` of a process that a running program has `multiprocessing` start anew: the program, ported there too.

`multiprocessing` runs this as `__mp_main__`, by its name, in place of the script.
"""

import json
import os

if __name__ == "__mp_main__":
    from torch2flow.port.running import program

    request = program.RunRequest(**json.loads(os.environ[program.VARIABLE]))
    finder = program.prepare(request)
    program.fill_main(globals(), *program.main_file(request, finder.porter), finder)

"""The energy meter: Modbus RTU codec, bus, register types, profiles (data), and a meter that says
when it does not know.
"""

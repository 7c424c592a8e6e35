"""Writes the attributes of all operators of the default domain, with the first
and the last operator set from 6 to 28 that has them, as the schemas of the
onnx package have them:

    python attributes.py > attributes.json

Made with onnx 1.23.2.
"""

import json

from onnx import defs

operators = {}
for version in range(6, 29):
    for name in {s.name for s in defs.get_all_schemas() if s.domain == ""} | set(operators):
        try:
            schema = defs.get_schema(name, version, "")
        except defs.SchemaError:
            continue
        attributes = operators.setdefault(name, {})
        for a in schema.attributes:
            first = attributes.get(a, [version])[0]
            attributes[a] = [first, version]

lines = [f"{json.dumps(name)}: {json.dumps(operators[name], sort_keys=True)}" for name in sorted(operators)]
print("{\n" + ",\n".join(lines) + "\n}")

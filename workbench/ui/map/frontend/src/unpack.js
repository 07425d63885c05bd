// The points as Python packed them: a length, a JSON header, then columns of numbers.

const KINDS = { int16: Int16Array, uint8: Uint8Array, uint16: Uint16Array, uint32: Uint32Array };

export function unpack(bytes) {
  const start = new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + start)));
  const column = ([kind, offset, length]) => {
    const Kind = KINDS[kind];
    const from = 4 + start + offset;
    return new Kind(bytes.slice(from, from + length * Kind.BYTES_PER_ELEMENT).buffer);
  };
  const spaces = header.spaces.map((space) => ({
    ...space,
    x: toUnit(column(space.x)),
    y: toUnit(column(space.y)),
    colour: column(space.colour),
    paths: space.paths.map((path) => ({
      ...path,
      x: toUnit(column(path.x)),
      y: toUnit(column(path.y)),
    })),
  }));
  return { ...header, spaces, name: column(header.name), text: column(header.text) };
}

function toUnit(whole) {
  return Float32Array.from(whole, (value) => value / 32767);
}

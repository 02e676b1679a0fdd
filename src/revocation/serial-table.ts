import { DerError } from '../der/der-error.js'
import { limits } from '../limits.js'

/** Entries that one slice sorts: some hundred microseconds. The first ones are smaller: code that never ran is ten times slower. */
const slice = 32_768
const firstSlice = 4_096
/** 2^16 buckets are 256 KB, which fit into a second-level cache. Above, entries are parted by their leading bits. */
const directBits = 16
const partBits = 8

/**
 * Offsets of entries in buckets by the leading bits of their hashes, and within a bucket in the order they came. A bucket is found by two
 * neighbours of `starts`: 4 octets for each entry and 2 to 4 for its bucket, and no order of entries makes it larger or slower.
 */
export class SerialTable {
  readonly #starts: Uint32Array
  readonly #offsets: Uint32Array
  readonly #shift: number

  private constructor(starts: Uint32Array, offsets: Uint32Array, bits: number) {
    this.#starts = starts
    this.#offsets = offsets
    this.#shift = 32 - bits
  }

  /** Octets it holds. */
  get byteLength(): number {
    return this.#starts.byteLength + this.#offsets.byteLength
  }

  /** Where the offsets of entries that may have this hash begin, and where they end. */
  startOf(hash: number): number {
    return this.#starts[hash >>> this.#shift] as number
  }

  endOf(hash: number): number {
    return this.#starts[(hash >>> this.#shift) + 1] as number
  }

  offsetAt(place: number): number {
    return this.#offsets[place] as number
  }

  /**
   * Sorts `offsets` by `hashes`; both arrays are used up. Many entries go by partitions first, whose buckets fit into the processor's cache:
   * otherwise nearly every entry would wait for memory.
   *
   * @param bits 2^bits buckets
   */
  static *of(hashes: Uint32Array, offsets: Uint32Array, bits = bitsFor(offsets.length)): Generator<void, SerialTable> {
    const given = { hashes, offsets, ends: Uint32Array.of(offsets.length) }
    const parts = bits > directBits ? yield* partition(given) : given
    const buckets: Buckets = {
      starts: new Uint32Array(2 ** bits + 1),
      offsets: parts === given ? new Uint32Array(offsets.length) : offsets,
      shift: 32 - bits,
    }
    const width = 2 ** bits / parts.ends.length
    let [from, size] = [0, firstSlice]
    let pause = size
    for (const [part, to] of parts.ends.entries()) {
      if (from >= pause) {
        size = Math.min(slice, 2 * size)
        pause = from + size
        yield
      }
      yield* sortPart(parts, { from, to, first: part * width, last: (part + 1) * width }, buckets)
      from = to
    }
    buckets.starts[2 ** bits] = offsets.length
    return new SerialTable(buckets.starts, buckets.offsets, bits)
  }
}

/** What is done at a time: from where to where. */
function* slices(length: number): Generator<[from: number, to: number], void> {
  for (let from = 0, size = firstSlice; from < length; from += size, size = Math.min(slice, 2 * size)) {
    yield [from, Math.min(length, from + size)]
  }
}

/** One to two entries for each bucket. */
const bitsFor = (entries: number) => Math.max(1, 31 - Math.clz32(entries))

/** Offsets of entries and their hashes, ordered by part; `ends` is where each part ends. */
interface Parts {
  readonly hashes: Uint32Array
  readonly offsets: Uint32Array
  readonly ends: Uint32Array
}

/** Orders entries by the leading bits of their hashes. */
function* partition({ hashes, offsets }: Parts): Generator<void, Parts> {
  const { length } = hashes
  const ends = new Uint32Array(2 ** partBits)
  const parts = { hashes: new Uint32Array(length), offsets: new Uint32Array(length), ends }
  for (const [from, to] of slices(length)) {
    countParts(hashes.subarray(from, to), ends)
    yield
  }
  let sum = 0
  for (const [part, size] of ends.entries()) {
    ends[part] = sum
    sum += size
  }
  for (const [from, to] of slices(length)) {
    placeInParts(hashes.subarray(from, to), offsets.subarray(from, to), parts)
    yield
  }
  return parts
}

function countParts(hashes: Uint32Array, sizes: Uint32Array): void {
  for (let i = 0; i < hashes.length; i++) {
    const part = (hashes[i] as number) >>> (32 - partBits)
    sizes[part] = (sizes[part] as number) + 1
  }
}

function placeInParts(hashes: Uint32Array, offsets: Uint32Array, parts: Parts): void {
  const { ends } = parts
  for (let i = 0; i < hashes.length; i++) {
    const hash = hashes[i] as number
    const part = hash >>> (32 - partBits)
    const place = ends[part] as number
    ends[part] = place + 1
    parts.hashes[place] = hash
    parts.offsets[place] = offsets[i] as number
  }
}

interface Buckets {
  readonly starts: Uint32Array
  readonly offsets: Uint32Array
  readonly shift: number
}

/** The entries and the buckets of one part. */
interface Range {
  readonly from: number
  readonly to: number
  readonly first: number
  readonly last: number
}

/** Counts, sums up, and fills every bucket from its end, so that its start is left over and the entries of a bucket keep their order. */
function* sortPart(parts: Parts, { from, to, first, last }: Range, buckets: Buckets): Generator<void, void> {
  for (const [start, end] of slices(to - from)) {
    if (start > 0) yield
    countEntries(parts, from + start, from + end, buckets)
  }
  let sum = from
  for (const [start, end] of slices(last - first)) {
    if (start > 0) yield
    sum = sumUp(buckets.starts.subarray(first + start, first + end), sum)
  }
  for (const [start, end] of slices(to - from)) {
    if (start > 0) yield
    fill(parts, to - end, to - start, buckets)
  }
}

function countEntries({ hashes, offsets }: Parts, from: number, to: number, { starts, shift }: Buckets): void {
  for (let i = from; i < to; i++) {
    const bucket = (hashes[i] as number) >>> shift
    const size = (starts[bucket] as number) + 1
    if (size > limits.crlCandidates) {
      throw new DerError('too many entries for one serial number', offsets[i] as number)
    }
    starts[bucket] = size
  }
}

function sumUp(sizes: Uint32Array, from: number): number {
  let sum = from
  for (let bucket = 0; bucket < sizes.length; bucket++) {
    sum += sizes[bucket] as number
    sizes[bucket] = sum
  }
  return sum
}

function fill({ hashes, offsets }: Parts, from: number, to: number, buckets: Buckets): void {
  const { starts, shift } = buckets
  for (let i = to - 1; i >= from; i--) {
    const bucket = (hashes[i] as number) >>> shift
    const place = (starts[bucket] as number) - 1
    starts[bucket] = place
    buckets.offsets[place] = offsets[i] as number
  }
}

import { OctetMemory } from '../der/octet-memory.js'
import { areOctetsAt } from '../der/octets.js'
import { DerError, DerReader, explicit, Tag } from '../der/reader.js'
import { checkElement } from '../der/well-formed.js'
import { oid } from './oid.js'

/** RFC 5280 §4.1.1.2. One that was read before is shared, so that nobody gets at its octets: what it gives away are copies. */
export class AlgorithmIdentifier {
  readonly oid: string
  readonly parametersAre: 'absent' | 'null' | 'other'
  readonly #bytes: Uint8Array
  readonly #start: number
  readonly #parametersStart: number
  readonly #end: number

  /** Of a sequence that was entered and begins at `start`. */
  constructor(sequence: DerReader, start: number) {
    this.oid = sequence.oid()
    this.#parametersStart = sequence.position
    if (sequence.peek() === -1) this.parametersAre = 'absent'
    else {
      sequence.next()
      checkElement(sequence)
      this.parametersAre = sequence.tag === Tag.null ? 'null' : 'other'
    }
    sequence.finish()
    this.#bytes = sequence.bytes
    this.#start = start
    this.#end = sequence.position
    Object.freeze(this)
  }

  /** The parameters element whole; undefined where absent. */
  get parameters(): Uint8Array | undefined {
    if (this.parametersAre === 'absent') return undefined
    return new Uint8Array(this.#bytes.subarray(this.#parametersStart, this.#end))
  }

  /** The AlgorithmIdentifier whole. */
  get der(): Uint8Array {
    return new Uint8Array(this.#bytes.subarray(this.#start, this.#end))
  }

  /** Reads the parameters, which must hold exactly the element that `read` reads. */
  readParameters<T>(read: (reader: DerReader) => T): T {
    const reader = new DerReader(this.#bytes, this.#parametersStart, this.#end)
    const value = read(reader)
    reader.finish()
    return value
  }

  /** The same octets. */
  isWrittenAs(other: AlgorithmIdentifier): boolean {
    if (this === other) return true
    if (other.#end - other.#start !== this.#end - this.#start) return false
    return areOctetsAt(this.#bytes, this.#start, other.#bytes, other.#start, other.#end)
  }
}

/** A service reads the same few again and again, two or three in each certificate. */
const known = new OctetMemory<AlgorithmIdentifier>(32)

export function readAlgorithmIdentifier(reader: DerReader): AlgorithmIdentifier {
  const from = reader.position
  reader.expect(Tag.sequence)
  const { bytes, end } = reader
  const remembered = known.recall(bytes, from, end)
  if (remembered !== undefined) return remembered
  const algorithm = new AlgorithmIdentifier(reader.inside(), from)
  return (
    known.remember(bytes, from, end, (copy) => new AlgorithmIdentifier(new DerReader(copy).enter(), 0)) ?? algorithm
  )
}

/** What a SubjectPublicKeyInfo holds, as far as deciding about it needs. No key is made of it here. */
export type PublicKeyFacts =
  | {
      readonly type: 'RSA' | 'RSA-PSS'
      readonly modulusBits: number
      /** undefined: wider than 53 bits. */
      readonly exponent: number | undefined
      readonly modulusIsOdd: boolean
      /** RSA-PSS only: the restriction the key carries (RFC 4055 §3.1); undefined where it carries none. */
      readonly pss?: PssParameters | undefined
    }
  /** `curve` is the identifier of a named curve; undefined for explicit or implicit parameters (RFC 5480 §2.1.1 forbids both). */
  | { readonly type: 'EC'; readonly curve: string | undefined }
  | { readonly type: 'Ed25519' | 'Ed448' | 'ML-DSA-44' | 'ML-DSA-65' | 'ML-DSA-87' | 'DSA' }
  | { readonly type: 'unknown'; readonly oid: string }

/** RFC 5280 §4.1.2.7. */
export class SubjectPublicKeyInfo {
  readonly facts: PublicKeyFacts
  /** @internal What the room that verifies signatures made of it. A field and not a WeakMap, which the collector walks again and again. */
  imported: unknown = undefined
  readonly #bytes: Uint8Array
  readonly #start: number
  readonly #keyStart: number
  readonly #end: number

  /** Reads the one the cursor stands on. Throws {@link DerError}. */
  constructor(reader: DerReader) {
    this.#bytes = reader.bytes
    this.#start = reader.position
    const sequence = reader.enter()
    this.#end = reader.end
    const algorithm = readAlgorithmIdentifier(sequence)
    this.#keyStart = sequence.bitStringStart()
    sequence.finish()
    this.facts = publicKeyFacts(algorithm, this.#bytes, this.#keyStart, this.#end, this.#start)
  }

  /** The SubjectPublicKeyInfo whole: what is hashed for a pin and given to `node:crypto`. */
  get der(): Uint8Array {
    return this.#bytes.subarray(this.#start, this.#end)
  }

  /** The same octets. */
  isWrittenAs(other: SubjectPublicKeyInfo): boolean {
    if (other.#end - other.#start !== this.#end - this.#start) return false
    return areOctetsAt(this.#bytes, this.#start, other.#bytes, other.#start, other.#end)
  }

  /** Contents of subjectPublicKey without the unused-bits octet. */
  get key(): Uint8Array {
    return this.#bytes.subarray(this.#keyStart, this.#end)
  }
}

/** Of the key in `bytes[start..end)`, whose SubjectPublicKeyInfo begins at `at`. */
function publicKeyFacts(
  algorithm: AlgorithmIdentifier,
  bytes: Uint8Array,
  start: number,
  end: number,
  at: number,
): PublicKeyFacts {
  const { oid: type, parametersAre } = algorithm
  switch (type) {
    case oid.rsaEncryption:
      // RFC 3279 §2.3.1: the parameters MUST be NULL.
      if (parametersAre !== 'null') throw new DerError('RSA key parameters are not NULL', at)
      return { type: 'RSA', ...readRsaKey(new DerReader(bytes, start, end)) }
    case oid.rsassaPss:
      return {
        type: 'RSA-PSS',
        ...readRsaKey(new DerReader(bytes, start, end)),
        pss: parametersAre === 'absent' ? undefined : offsetAt(at, () => readPssParameters(algorithm)),
      }
    case oid.ecPublicKey:
      return readEcKey(algorithm, bytes[start], end - start, at)
    case oid.ed25519:
      return fixedKey('Ed25519', algorithm, end - start, 32, at)
    case oid.ed448:
      return fixedKey('Ed448', algorithm, end - start, 57, at)
    case oid.mlDsa44:
      return fixedKey('ML-DSA-44', algorithm, end - start, 1312, at)
    case oid.mlDsa65:
      return fixedKey('ML-DSA-65', algorithm, end - start, 1952, at)
    case oid.mlDsa87:
      return fixedKey('ML-DSA-87', algorithm, end - start, 2592, at)
    case oid.dsa:
      return { type: 'DSA' }
    default:
      return { type: 'unknown', oid: type }
  }
}

/** Parameters may be a copy, in which offsets mean nothing to whoever has the certificate: what is wrong with them is wrong with the key at `at`. */
function offsetAt<T>(at: number, read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw error instanceof DerError ? new DerError(error.message, at) : error
  }
}

type FixedKeyType = 'Ed25519' | 'Ed448' | 'ML-DSA-44' | 'ML-DSA-65' | 'ML-DSA-87'

/** RFC 8410 §3, RFC 9881 §4: no parameters, a key of one length. */
function fixedKey(
  type: FixedKeyType,
  { parametersAre }: AlgorithmIdentifier,
  octets: number,
  expected: number,
  at: number,
): PublicKeyFacts {
  if (parametersAre !== 'absent') throw new DerError(`${type} key has parameters`, at)
  if (octets !== expected) throw new DerError(`${type} key has a wrong length`, at)
  return { type }
}

/** RFC 8017 A.1.1: SEQUENCE { modulus, publicExponent }, both positive. */
function readRsaKey(outer: DerReader): {
  modulusBits: number
  exponent: number | undefined
  modulusIsOdd: boolean
} {
  const sequence = outer.enter()
  outer.finish()
  const modulus = sequence.integer()
  const modulusIsOdd = ((modulus.at(-1) as number) & 1) === 1
  if (((modulus[0] as number) & 0x80) !== 0) throw new DerError('RSA modulus is negative', sequence.start)
  const exponent = sequence.nonNegative()
  sequence.finish()
  return {
    modulusBits: bitLength(modulus),
    exponent: exponent === Number.POSITIVE_INFINITY ? undefined : exponent,
    modulusIsOdd,
  }
}

function bitLength(integer: Uint8Array): number {
  let first = 0
  while (first < integer.length && integer[first] === 0) first++
  if (first === integer.length) return 0
  return (integer.length - first) * 8 - Math.clz32(integer[first] as number) + 24
}

/** What is said of keys on the curves whose points have a length we know, and how many octets a coordinate has. */
const namedCurves: ReadonlyMap<string, { octets: number; facts: PublicKeyFacts }> = new Map(
  [
    { curve: oid.p256, octets: 32 },
    { curve: oid.p384, octets: 48 },
    { curve: oid.p521, octets: 66 },
  ].map(({ curve, octets }) => [curve, { octets, facts: Object.freeze({ type: 'EC', curve }) }]),
)

/** RFC 5480 §2.1.1, §2.2: of the point its first octet and its length. */
function readEcKey(
  algorithm: AlgorithmIdentifier,
  form: number | undefined,
  length: number,
  at: number,
): PublicKeyFacts {
  if (algorithm.parametersAre === 'absent') throw new DerError('EC key has no parameters', at)
  const curve = offsetAt(at, () => algorithm.readParameters(readNamedCurve))
  const known = curve === undefined ? undefined : namedCurves.get(curve)
  if (known === undefined) return { type: 'EC', curve }
  // SEC 1 §2.3.3: 04 and two coordinates, or 02/03 and one. Infinity (00) and the hybrid forms are refused.
  const isUncompressed = form === 4 && length === 1 + 2 * known.octets
  const isCompressed = (form === 2 || form === 3) && length === 1 + known.octets
  if (!isUncompressed && !isCompressed) throw new DerError('EC point is malformed', at)
  return known.facts
}

function readNamedCurve(parameters: DerReader): string | undefined {
  if (parameters.peek() === Tag.oid) return parameters.oid()
  parameters.next()
  return undefined
}

/** RFC 4055 §3.1 with its DEFAULTs; MGF1 is the only mask generation function there is. */
export interface PssParameters {
  readonly hash: string
  readonly mgfHash: string
  readonly saltLength: number
  readonly trailerField: number
}

const sha1 = '1.3.14.3.2.26'

export const readPssParameters = (algorithm: AlgorithmIdentifier): PssParameters => algorithm.readParameters(readPss)

function readPss(parameters: DerReader): PssParameters {
  const sequence = parameters.enter()
  let hash = sha1
  let mgfHash = sha1
  let saltLength = 20
  let trailerField = 1
  if (sequence.peek() === explicit(0)) hash = readHash(sequence.enter(explicit(0)))
  if (sequence.peek() === explicit(1)) {
    const wrapper = sequence.enter(explicit(1))
    const mgf = wrapper.enter()
    wrapper.finish()
    if (mgf.oid() !== oid.mgf1) throw new DerError('RSA-PSS mask generation function is not MGF1', mgf.start)
    mgfHash = readHash(mgf)
  }
  if (sequence.peek() === explicit(2)) saltLength = readNumber(sequence.enter(explicit(2)))
  if (sequence.peek() === explicit(3)) trailerField = readNumber(sequence.enter(explicit(3)))
  sequence.finish()
  return { hash, mgfHash, saltLength, trailerField }
}

function readHash(wrapper: DerReader): string {
  const { oid: hash, parametersAre } = readAlgorithmIdentifier(wrapper)
  wrapper.finish()
  // RFC 4055 §2.1: NULL and absent are both to be accepted.
  if (parametersAre === 'other') throw new DerError('digest has parameters', 0)
  return hash
}

function readNumber(wrapper: DerReader): number {
  const value = wrapper.nonNegative()
  wrapper.finish()
  return value
}

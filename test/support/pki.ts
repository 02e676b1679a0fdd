import { spawnSync } from 'node:child_process'
import { sign } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect } from '@jest/globals'
import { createAuthenticator } from '../../src/core/authenticator.js'
import type { AuthenticatorOptions } from '../../src/core/options.js'
import type { AnyClientCertError } from '../../src/errors.js'
import type { ClientIdentity } from '../../src/identity/identity.js'
import { type PathInput, validateCertificationPath } from '../../src/path.js'
import type { TestCredential, TestKeyHolder } from '../../src/testing.js'

// ── Time ─────────────────────────────────────────────────────────────────────────────────────────────────────────

export const second = 1_000
export const minute = 60 * second
export const hour = 60 * minute
export const day = 24 * hour

/** The moment every test certificate is made at and, unless said otherwise, looked at. */
export const noon = new Date('2026-11-20T12:00:00.000Z')
export const fromNoon = (milliseconds: number): Date => new Date(noon.getTime() + milliseconds)

// ── Verdicts ─────────────────────────────────────────────────────────────────────────────────────────────────────

export interface Encoded {
  readonly der: Uint8Array
}
export interface HasCertificate {
  readonly certificate: Encoded
}

const derOf = (item: Encoded | HasCertificate) => ('der' in item ? item.der : item.certificate.der)

export type Situation = Partial<Pick<PathInput, 'at' | 'profile'>> & {
  via?: readonly (Encoded | HasCertificate)[]
  anchors: readonly (Encoded | HasCertificate)[]
}

export function validate(leaf: Encoded | HasCertificate, { via = [], anchors, at = noon, profile }: Situation) {
  return validateCertificationPath({
    certificate: derOf(leaf),
    intermediates: via.map(derOf),
    trustAnchors: anchors.map(derOf),
    at,
    ...(profile === undefined ? {} : { profile }),
  })
}

/** The refusal, or undefined where there is a valid path. */
export async function refusalOf(
  leaf: Encoded | HasCertificate,
  situation: Situation,
): Promise<AnyClientCertError | undefined> {
  const result = await validate(leaf, situation)
  return result.valid ? undefined : result.error
}

/** The code of the refusal and the depth it concerns: `'ERR_CLIENT_CERT_EXPIRED @1'`; `'accepted'` for a valid path. */
export async function verdict(leaf: Encoded | HasCertificate, situation: Situation): Promise<string> {
  const error = await refusalOf(leaf, situation)
  return error === undefined ? 'accepted' : error.depth === undefined ? error.code : `${error.code} @${error.depth}`
}

/** Presents a chain to an authenticator that was made for it; returns the decision and the operator's lines. */
export async function present(
  { certificate, chain }: Pick<TestCredential, 'certificate' | 'chain'>,
  options: AuthenticatorOptions,
) {
  const lines: string[] = []
  const log = (line: string) => {
    lines.push(line)
  }
  const authenticator = createAuthenticator({
    revocation: 'none',
    watch: false,
    now: () => noon.getTime(),
    log,
    ...options,
  })
  const decision = await authenticator.authenticateChain({
    certificate: certificate.der,
    intermediates: chain.map(({ der }) => der),
    via: 'tls',
  })
  await authenticator.close()
  return { decision, lines, line: lines.at(-1) ?? '' }
}

/** The identity of a chain that has to be accepted. */
export async function identityOf(
  credential: Pick<TestCredential, 'certificate' | 'chain'>,
  options: AuthenticatorOptions,
): Promise<ClientIdentity> {
  const { decision } = await present(credential, options)
  if (decision.outcome !== 'accepted') throw new Error(`not accepted: ${decision.error.code}: ${decision.error.help}`)
  return decision.identity
}

/** The refusal of a chain that has to be refused. */
export async function refusedBy(
  credential: Pick<TestCredential, 'certificate' | 'chain'>,
  options: AuthenticatorOptions,
): Promise<AnyClientCertError> {
  const { decision } = await present(credential, options)
  if (decision.outcome === 'accepted') throw new Error('accepted')
  return decision.error
}

/** What a call throws, as text; fails where it throws nothing. */
export function thrownBy(call: () => unknown): string {
  try {
    call()
  } catch (error) {
    expect(error).toBeInstanceOf(Error)
    return `${(error as Error).name}: ${(error as Error).message}`
  }
  throw new Error('nothing was thrown')
}

// ── DER ──────────────────────────────────────────────────────────────────────────────────────────────────────────

export type Octets = Uint8Array | readonly number[]

export function tlv(tag: number, ...contents: Octets[]): Uint8Array {
  const body = Buffer.concat(contents.map((part) => Uint8Array.from(part)))
  const { length } = body
  const header =
    length < 0x80
      ? [length]
      : length < 0x100
        ? [0x81, length]
        : length < 0x10000
          ? [0x82, length >> 8, length & 255]
          : []
  if (header.length === 0) header.push(0x83, length >> 16, (length >> 8) & 255, length & 255)
  return Uint8Array.from([tag, ...header, ...body])
}

export const seq = (...parts: Octets[]): Uint8Array => tlv(0x30, ...parts)
export const utf8 = (text: string): Uint8Array => tlv(0x0c, Buffer.from(text))
export const printable = (text: string): Uint8Array => tlv(0x13, Buffer.from(text))
export const ia5 = (tag: number, text: string): Uint8Array => tlv(tag, Buffer.from(text))
export const derNull: Uint8Array = Uint8Array.from([5, 0])

export function oid(dotted: string): Uint8Array {
  const [first = 0, secondArc = 0, ...rest] = dotted.split('.').map(Number)
  const octets = [first * 40 + secondArc, ...rest].flatMap((arc) => {
    const groups = [arc & 127]
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) groups.unshift((left & 127) | 128)
    return groups
  })
  return tlv(6, octets)
}

/** INTEGER of a non-negative number. */
export function integer(value: bigint | number): Uint8Array {
  let hex = value.toString(16)
  if (hex.length % 2 === 1) hex = `0${hex}`
  const octets = [...Buffer.from(hex, 'hex')]
  return tlv(2, (octets[0] as number) >= 0x80 ? [0, ...octets] : octets)
}

/** A Name of one attribute per RDN, least specific first. */
export const nameDer = (...attributes: [type: string, value: Uint8Array][]): Uint8Array =>
  seq(...attributes.map(([type, value]) => tlv(0x31, seq(oid(type), value))))

/** The elements within a constructed one. */
export function children(der: Uint8Array): Uint8Array[] {
  const found: Uint8Array[] = []
  let [at] = contentsOf(der, 0)
  while (at < der.length) {
    const [start, length] = contentsOf(der, at)
    found.push(der.subarray(at, start + length))
    at = start + length
  }
  return found
}

function contentsOf(der: Uint8Array, at: number): [start: number, length: number] {
  const first = der[at + 1] as number
  if (first < 0x80) return [at + 2, first]
  let length = 0
  for (let i = 0; i < (first & 127); i++) length = length * 256 + (der[at + 2 + i] as number)
  return [at + 2 + (first & 127), length]
}

/** The fields of a version 3 TBSCertificate by their place. */
export const field = { serialNumber: 1, algorithm: 2, issuer: 3, validity: 4, subject: 5, publicKey: 6, extensions: 7 }

export const extension = (type: string, critical: boolean, value: Uint8Array): Uint8Array =>
  seq(oid(type), ...(critical ? [[1, 1, 255]] : []), tlv(4, value))

interface Rebuilding {
  /** Fields of the signed part to put in place. */
  fields?: Readonly<Record<number, Uint8Array>>
  /** What becomes of the extensions. */
  extensions?: (list: Uint8Array[]) => Uint8Array[]
  /** The AlgorithmIdentifier outside; the one inside is a field. */
  outerAlgorithm?: Uint8Array
  /** ECDSA with SHA-256 if not given. */
  signature?: (tbs: Uint8Array) => Uint8Array
}

/** The same certificate with other content, signed again by `signer`: what no decent library would write. */
export function rebuild(
  { certificate }: HasCertificate,
  signer: TestKeyHolder,
  { fields = {}, extensions, outerAlgorithm, signature }: Rebuilding,
): Encoded {
  const [tbs, algorithm] = children(certificate.der) as [Uint8Array, Uint8Array]
  const parts = children(tbs).map((part, place) => fields[place] ?? part)
  if (extensions !== undefined) {
    const [list] = children(parts[field.extensions] as Uint8Array) as [Uint8Array]
    parts[field.extensions] = tlv(0xa3, seq(...extensions(children(list))))
  }
  const signed = seq(...parts)
  const made = signature?.(signed) ?? sign('sha256', signed, signer.key.pem)
  return { der: seq(signed, outerAlgorithm ?? algorithm, tlv(3, [0], made)) }
}

/** SubjectPublicKeyInfo of an RSA key that nobody holds. */
export function rsaPublicKey(modulus: bigint, exponent: bigint | number, algorithm?: Uint8Array): Uint8Array {
  const key = seq(integer(modulus), integer(exponent))
  return seq(algorithm ?? seq(oid('1.2.840.113549.1.1.1'), derNull), tlv(3, [0], key))
}

/** An odd number of so many bits. */
export const oddModulus = (bits: number): bigint => (1n << BigInt(bits - 1)) | 0x1234_5679n | 1n

// ── Surroundings ─────────────────────────────────────────────────────────────────────────────────────────────────

/** A folder that is gone after the tests of the file. */
export function temporaryFolder(): (...names: string[]) => string {
  const folder = mkdtempSync(join(tmpdir(), 'mtls-identity-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  return (...names) => join(folder, ...names)
}

/** Runs the real openssl; throws where it fails. */
export function openssl(...args: string[]): Buffer {
  const { status, stdout, stderr } = spawnSync('openssl', args, { env: { ...process.env, LC_ALL: 'C' } })
  if (status !== 0) throw new Error(`openssl ${args.join(' ')}: ${stderr}`)
  return stdout
}

export const pemOf = (label: string, der: Uint8Array): string =>
  `-----BEGIN ${label}-----\n${Buffer.from(der)
    .toString('base64')
    .replace(/.{1,64}/g, '$&\n')}-----END ${label}-----\n`

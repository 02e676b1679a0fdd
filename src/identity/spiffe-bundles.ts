import { ClientCertConfigError, deny } from '../errors.js'
import { readOperatorFile } from '../trust/pem-files.js'
import { parseBundle } from '../trust/trust-bundle.js'
import { anchorOf, type TrustAnchor, TrustSnapshot } from '../trust/trust-snapshot.js'
import { TrustStore } from '../trust/trust-store.js'
import type { Certificate } from '../x509/certificate.js'
import { KeyUsageBit } from '../x509/extensions.js'
import { SpiffeId } from './spiffe-id.js'

/**
 * The CA certificates of one trust domain: a path, `{ file }`, PEM text or DER octets; or a SPIFFE bundle document (JWKS form), as text or as a
 * value.
 */
export type SpiffeBundle = string | Uint8Array | { readonly file: string } | { readonly keys: readonly object[] }

export interface SpiffeBundleOptions {
  /** `false`: files are read once. Default true: a changed file is read within two seconds, all bundles or none. */
  watch?: boolean
}

/**
 * A trust store that keeps trust domains apart: an X509-SVID is verified against the bundle of its own trust domain and against no other, so that
 * a federated domain can speak for itself only (X509-SVID §5.1, Trust Domain and Bundle §3). What is no X509-SVID of one of these domains is refused
 * with `ERR_CLIENT_CERT_SVID`. Throws {@link ClientCertConfigError}.
 *
 * @example
 * const auth = createAuthenticator({
 *   trust: spiffeBundles({ 'spiffe://acme.example': './acme.json', 'spiffe://partner.example': './partner.pem' }),
 *   revocation: 'none',
 * })
 */
export function spiffeBundles(
  bundles: { readonly [trustDomain: string]: SpiffeBundle },
  { watch = true }: SpiffeBundleOptions = {},
): TrustStore {
  const readers = readersOf(bundles)
  const files = readers.flatMap(({ file }) => (file === undefined ? [] : [file]))
  return TrustStore.assemble({
    label: readers.map(({ domain }) => `spiffe://${domain}`).join(', '),
    load: () => assemble(readers),
    files: watch ? files : [],
    isReadOnce: !watch && files.length > 0,
  })
}

interface Reader {
  readonly domain: string
  readonly file: string | undefined
  readonly read: () => string | Uint8Array | object
  /** spiffe_sequence of the last document: an older one that comes later is refused. */
  sequence: number
}

interface Bundle {
  readonly certificates: readonly Certificate[]
  readonly sequence: number | undefined
}

function readersOf(bundles: { readonly [trustDomain: string]: SpiffeBundle }): Reader[] {
  const entries = typeof bundles === 'object' && bundles !== null ? Object.entries(bundles) : []
  if (entries.length === 0) {
    throw new ClientCertConfigError(
      "spiffeBundles: names no trust domain — spiffeBundles({ 'spiffe://acme.example': './acme-bundle.json' })",
    )
  }
  const readers = entries.map(([name, bundle]) => readerOf(domainOf(name), bundle))
  if (new Set(readers.map(({ domain }) => domain)).size !== readers.length) {
    throw new ClientCertConfigError('spiffeBundles: names a trust domain twice')
  }
  return readers
}

function domainOf(name: string): string {
  const id = SpiffeId.from(name.startsWith('spiffe://') ? name : `spiffe://${name}`)
  if (id !== undefined && id.path === '') return id.trustDomain
  throw new ClientCertConfigError(
    `spiffeBundles: ${JSON.stringify(name)} is not a trust domain — 'spiffe://acme.example', in lower case`,
  )
}

function readerOf(domain: string, bundle: SpiffeBundle): Reader {
  const where = `spiffeBundles: ${domain}`
  const isText =
    typeof bundle === 'string' && (bundle.includes('\n') || bundle.includes('-----BEGIN') || isJson(bundle))
  if (isText || bundle instanceof Uint8Array) {
    const content = bundle
    return { domain, file: undefined, read: () => content, sequence: 0 }
  }
  const file =
    typeof bundle === 'string'
      ? bundle
      : typeof bundle === 'object' && bundle !== null && 'file' in bundle
        ? bundle.file
        : undefined
  if (file !== undefined) {
    if (typeof file !== 'string' || file === '') throw new ClientCertConfigError(`${where}: file is a path`)
    return { domain, file, read: () => contentOf(readOperatorFile(where, file).bytes), sequence: 0 }
  }
  if (typeof bundle === 'object' && bundle !== null && 'keys' in bundle) {
    return { domain, file: undefined, read: () => bundle, sequence: 0 }
  }
  throw new ClientCertConfigError(`${where}: expected a path, PEM, DER, or a bundle document { keys: […] }`)
}

const isJson = (text: string) => /^\s*\{/.test(text)

/** JSON as text; PEM and DER as they are. */
function contentOf(bytes: Uint8Array): string | Uint8Array {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8')
  return isJson(text) ? text : bytes
}

function assemble(readers: readonly Reader[]): TrustSnapshot {
  const bundles = readers.map((reader): [Reader, Bundle] => [reader, readBundle(reader)])
  refuseSharedKeys(bundles)
  // Only when every bundle was read: all or nothing.
  for (const [reader, { sequence }] of bundles) reader.sequence = sequence ?? reader.sequence
  return new SpiffeTrust(
    new Map(
      bundles.map(([{ domain }, { certificates }]) => [
        domain,
        certificates.map((certificate) => anchorOf(certificate, domain)),
      ]),
    ),
  )
}

function readBundle(reader: Reader): Bundle {
  const where = `spiffeBundles: ${reader.file ?? reader.domain}`
  const content = reader.read()
  const isDocument = typeof content === 'string' ? isJson(content) : !(content instanceof Uint8Array)
  if (!isDocument)
    return { certificates: parseBundle(where, content as string | Uint8Array, 'anchors'), sequence: undefined }
  const bundle = parseDocument(where, typeof content === 'string' ? parseJson(where, content) : content)
  if (bundle.sequence !== undefined && bundle.sequence < reader.sequence) {
    throw new ClientCertConfigError(
      `${where}: spiffe_sequence ${bundle.sequence} is older than ${reader.sequence}, which was read before — fetch the bundle again`,
    )
  }
  return bundle
}

function parseJson(where: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new ClientCertConfigError(`${where}: ${(error as Error).message} — a bundle document is JSON`)
  }
}

/**
 * SPIFFE Trust Domain and Bundle §4: a JWK Set, of which the keys of use `x509-svid` hold one CA certificate each in `x5c`. Keys of other uses are
 * passed over (§4.2.2). A document without keys is a domain that trusts nobody any more.
 */
function parseDocument(where: string, document: unknown): Bundle {
  const { keys, spiffe_sequence: sequence } = (document ?? {}) as { keys?: unknown; spiffe_sequence?: unknown }
  if (!Array.isArray(keys)) throw new ClientCertConfigError(`${where}: the bundle document has no list of keys`)
  if (sequence !== undefined && !(Number.isSafeInteger(sequence) && (sequence as number) >= 0)) {
    throw new ClientCertConfigError(`${where}: spiffe_sequence is not a whole number`)
  }
  const certificates = keys.flatMap((key: unknown, i) => {
    const { use, x5c } = (typeof key === 'object' && key !== null ? key : {}) as { use?: unknown; x5c?: unknown }
    if (use !== 'x509-svid') return []
    return [certificateOf(`${where}: keys[${i}]`, x5c)]
  })
  return { certificates, sequence: sequence as number | undefined }
}

/** §4.2.2: x5c holds exactly one certificate, the DER in base64 (RFC 7517 §4.7). */
function certificateOf(where: string, x5c: unknown): Certificate {
  if (!Array.isArray(x5c) || x5c.length !== 1) {
    throw new ClientCertConfigError(
      `${where}: x5c holds ${Array.isArray(x5c) ? x5c.length : 'no'} certificates, expected one`,
    )
  }
  const [text] = x5c as [unknown]
  const der = typeof text === 'string' ? Buffer.from(text, 'base64') : Buffer.alloc(0)
  if (der.length === 0 || der.toString('base64') !== text) {
    throw new ClientCertConfigError(`${where}: x5c is not base64 of a certificate`)
  }
  return parseBundle(where, der, 'anchors')[0] as Certificate
}

/** §6.2: a CA in two bundles speaks for both domains, and they are no longer apart. */
function refuseSharedKeys(bundles: readonly [Reader, Bundle][]): void {
  const owners = new Map<string, string>()
  for (const [{ domain }, { certificates }] of bundles) {
    for (const { publicKey, subject } of certificates) {
      const key = Buffer.from(publicKey.der).toString('base64')
      const owner = owners.get(key)
      if (owner !== undefined && owner !== domain) {
        throw new ClientCertConfigError(
          `spiffeBundles: ${JSON.stringify(subject.toString())} is a CA of ${owner} and of ${domain}, and each could name clients of the other — a bundle holds its own domain's CAs only`,
        )
      }
      owners.set(key, domain)
    }
  }
}

class SpiffeTrust extends TrustSnapshot {
  readonly #domains: ReadonlyMap<string, TrustSnapshot>

  constructor(domains: ReadonlyMap<string, readonly TrustAnchor[]>) {
    super([...domains.values()].flat())
    this.#domains = new Map([...domains].map(([domain, anchors]) => [domain, new TrustSnapshot(anchors)]))
  }

  override get bindsNames(): boolean {
    return true
  }

  override trustFor(endEntity: Certificate): TrustSnapshot {
    const { trustDomain } = svidOf(endEntity)
    const bundle = this.#domains.get(trustDomain)
    if (bundle !== undefined) return bundle
    throw refuse(endEntity, `no bundle of its trust domain ${trustDomain} is configured`)
  }
}

/** X509-SVID §2, §4: exactly one URI name, which is the SPIFFE ID of a workload; may sign a handshake and nothing else. */
function svidOf(certificate: Certificate): SpiffeId {
  const { subjectAltName = [], keyUsage } = certificate.extensions
  const uris = subjectAltName.flatMap((name) => (name.type === 'uniformResourceIdentifier' ? [name.value] : []))
  if (uris.length !== 1) throw refuse(certificate, `it has ${uris.length} URI names, an X509-SVID has exactly one`)
  const id = SpiffeId.from(uris[0] as string)
  if (id === undefined || id.path === '') throw refuse(certificate, 'its URI name is not the SPIFFE ID of a workload')
  if (keyUsage === undefined || (keyUsage & KeyUsageBit.digitalSignature) === 0) {
    throw refuse(certificate, 'its keyUsage lacks digitalSignature')
  }
  if ((keyUsage & (KeyUsageBit.keyCertSign | KeyUsageBit.cRLSign)) !== 0) {
    throw refuse(certificate, 'its keyUsage has keyCertSign or cRLSign, which is for CAs')
  }
  return id
}

const refuse = ({ subject, extensions }: Certificate, reason: string) => {
  const uri = extensions.subjectAltName?.find((name) => name.type === 'uniformResourceIdentifier')
  const name = uri !== undefined && 'value' in uri && typeof uri.value === 'string' ? uri.value : subject.toString()
  return deny('ERR_CLIENT_CERT_SVID', { name, reason }, { depth: 0 })
}

import { ClientCertConfigError, nearest, refuseUnknownOptions } from '../errors.js'
import { isThenable } from '../thenable.js'
import type { Certificate } from '../x509/certificate.js'
import { readOperatorDirectory, readOperatorFile } from './pem-files.js'
import { type BundleUse, parseBundle } from './trust-bundle.js'
import { anchorOf, type Pin, type TrustAnchor, TrustSnapshot } from './trust-snapshot.js'
import { TrustStore } from './trust-store.js'

/**
 * Where certificates come from: a path, PEM text (a string with a line break or `-----BEGIN` is never a path), DER octets, `{ file }`,
 * `{ directory }`, a {@link TrustStore}, a list of these, or named sets of these: `{ partners: …, internal: …, pinned: … }`.
 * The set `pinned` holds end entities that are admitted by themselves, by their whole DER; `pinnedKeys` admits certificates renewed with the
 * same public key, subject and subjectAltName too.
 */
export type Trust =
  | TrustSource
  | readonly TrustSource[]
  | { readonly [name: string]: TrustSource | readonly TrustSource[] }

export type TrustSource = string | Uint8Array | { readonly file: string } | { readonly directory: string } | TrustStore

interface Part {
  where: string
  name: string | undefined
  use: BundleUse
  load: () => Loaded
  store?: TrustStore
}

interface Loaded {
  anchors: readonly TrustAnchor[]
  pinned: readonly Pin[]
}

/**
 * Makes one store of what an option says. Reads everything now and throws {@link ClientCertConfigError} for the first mistake.
 *
 * @param option the option's name, for messages
 */
export function resolveTrust(
  option: 'trust' | 'intermediates',
  trust: Trust,
  watch: boolean,
  maxStaleness?: number,
): TrustStore {
  if (trust instanceof TrustStore) return trust
  const use: BundleUse = option === 'trust' ? 'anchors' : 'intermediates'
  const parts = partsOf(option, trust, undefined, use)
  const files = watchedPaths(trust)
  return TrustStore.assemble({
    label: labelOf(parts),
    kind: option,
    load: () => combine(option, parts),
    stores: parts.flatMap(({ store }) => (store === undefined ? [] : [store])),
    files: watch ? files : [],
    isReadOnce: !watch && files.length > 0,
    maxStaleness,
  })
}

function combine(option: string, parts: readonly Part[]): TrustSnapshot {
  const loaded = parts.map((part) => part.load())
  const anchors = loaded.flatMap((part) => part.anchors)
  const pinned = loaded.flatMap((part) => part.pinned)
  // A provider that has not answered yet: the store is unusable until it has.
  const isComplete = parts.every(({ store }) => store?.isLoaded !== false)
  if (isComplete && anchors.length + pinned.length === 0)
    throw new ClientCertConfigError(`${option}: holds no certificate`)
  return new TrustSnapshot(anchors, pinned)
}

function partsOf(option: string, trust: unknown, name: string | undefined, use: BundleUse): Part[] {
  if (trust === undefined || trust === null) {
    throw new ClientCertConfigError(
      `${option}: is missing — ${option}: './clients-ca.pem', the CA that issues your clients; never the system's roots`,
    )
  }
  if (Array.isArray(trust) && trust.length === 0)
    throw new ClientCertConfigError(`${option}: is an empty list — name at least one certificate file`)
  if (Array.isArray(trust)) {
    // A file is found by its path; certificates that are written into the list by their place.
    return trust.flatMap((item, i) => partsOf(isInline(item) ? `${option}[${i}]` : option, item, name, use))
  }
  if (typeof trust === 'string') return [textPart(option, trust, name, use)]
  if (trust instanceof Uint8Array) return [bytesPart(option, trust, name, use)]
  if (trust instanceof TrustStore) return [storePart(option, trust, name, use)]
  if (typeof trust !== 'object') {
    throw new ClientCertConfigError(
      `${option}: expected a path, PEM, DER, { file }, { directory } or a TrustStore, got ${typeof trust}`,
    )
  }
  if (trust instanceof URL)
    throw new ClientCertConfigError(`${option}: is a URL — ${option}: fileURLToPath(url), from node:url`)
  if (isThenable(trust))
    throw new ClientCertConfigError(`${option}: is a promise — await it, or TrustStore.from(load) to load it again`)
  const { file, directory } = trust as { file?: unknown; directory?: unknown }
  if (typeof file === 'string') {
    refuseUnknownOptions(option, trust, ['file'])
    return [filePart(option, file, name, use)]
  }
  if (typeof directory === 'string') {
    refuseUnknownOptions(option, trust, ['directory'])
    return [directoryPart(option, directory, name, use)]
  }
  return namedParts(option, trust as Record<string, unknown>, name, use)
}

function namedParts(option: string, sets: Record<string, unknown>, outer: string | undefined, use: BundleUse): Part[] {
  const names = Object.keys(sets)
  if (names.length === 0) throw new ClientCertConfigError(`${option}: names no trust set`)
  if (outer !== undefined || use !== 'anchors') {
    throw new ClientCertConfigError(
      `${option}: named sets are for the top level of trust only — found ${names.join(', ')}`,
    )
  }
  for (const name of names) refuseMisspeltPins(option, name)
  return names.flatMap((name) => partsOf(`${option}.${name}`, sets[name], name, useOf(name) ?? use))
}

/** A pin that is taken for a CA lets its holder make anybody. */
function refuseMisspeltPins(option: string, name: string): void {
  const near = nearest(name, ['pinned', 'pinnedKeys']) ?? (/^pin/i.test(name) ? 'pinned' : undefined)
  if (near === undefined || useOf(name) !== undefined) return
  throw new ClientCertConfigError(
    `${option}: the trust set "${name}" would hold CAs. Did you mean "${near}"? If not, choose a name that is not like it`,
  )
}

/** The two names that mean more than a name. */
const useOf = (name: string): BundleUse | undefined => (name === 'pinned' || name === 'pinnedKeys' ? name : undefined)

const isPem = (text: string) => text.includes('\n') || text.includes('-----BEGIN')
const isInline = (item: unknown) => item instanceof Uint8Array || (typeof item === 'string' && isPem(item))

function textPart(option: string, text: string, name: string | undefined, use: BundleUse): Part {
  if (!isPem(text) && text.trim() !== '') {
    refuseWhatIsNoPath(option, text)
    return filePart(option, text, name, use)
  }
  return { where: 'PEM text', name, use, load: () => sort(parseBundle(option, text, use), name, use) }
}

/** What people write where a path belongs; none of it may end up in a message, it may hold a key. */
function refuseWhatIsNoPath(option: string, text: string): void {
  // The beginning of "-----BEGIN ", or of a DER SEQUENCE, in base64.
  if (/^(LS0tLS1CRUdJTi|MI)[A-Za-z0-9+/]{200}/.test(text)) {
    throw new ClientCertConfigError(
      `${option}: is base64 (environment variable?) — ${option}: Buffer.from(value, 'base64'), or a file`,
    )
  }
  if (/^https?:/i.test(text)) {
    throw new ClientCertConfigError(
      `${option}: is an address, which is not fetched — TrustStore.from(load, { refresh }) asks a function of yours, again and again`,
    )
  }
}

function bytesPart(option: string, bytes: Uint8Array, name: string | undefined, use: BundleUse): Part {
  const copy = new Uint8Array(bytes)
  return { where: 'octets', name, use, load: () => sort(parseBundle(option, copy, use), name, use) }
}

function filePart(option: string, path: string, name: string | undefined, use: BundleUse): Part {
  const where = `${option}: ${path}`
  return {
    where: path,
    name,
    use,
    load: () => sort(parseBundle(where, readOperatorFile(option, path).bytes, use), name, use),
  }
}

function directoryPart(option: string, directory: string, name: string | undefined, use: BundleUse): Part {
  const load = () =>
    sort(
      readOperatorDirectory(option, directory).flatMap(({ path, bytes }) =>
        parseBundle(`${option}: ${path}`, bytes, use),
      ),
      name,
      use,
    )
  return { where: directory, name, use, load }
}

function storePart(option: string, store: TrustStore, name: string | undefined, use: BundleUse): Part {
  const load = () => {
    const { anchors, pinned, bindsNames } = store.current()
    if (bindsNames)
      throw new ClientCertConfigError(
        `${option}: a store that keeps domains apart (${store.label}) cannot be one of several, where they would be one — trust: spiffeBundles({ … }) alone`,
      )
    if (use === 'pinned' || use === 'pinnedKeys')
      throw new ClientCertConfigError(`${option}: takes files or bytes, not a TrustStore`)
    return { anchors: anchors.map((anchor) => anchorOf(anchor.certificate, name ?? anchor.name)), pinned }
  }
  return { where: store.label, name, use, load, store }
}

function sort(certificates: readonly Certificate[], name: string | undefined, use: BundleUse): Loaded {
  const entries = certificates.map((certificate) => anchorOf(certificate, name))
  if (use !== 'pinned' && use !== 'pinnedKeys') return { anchors: entries, pinned: [] }
  const by = use === 'pinned' ? 'certificate' : 'key'
  return { anchors: [], pinned: entries.map((entry) => ({ ...entry, by })) }
}

function labelOf(parts: readonly Part[]): string {
  const labels = [...new Set(parts.map(({ where }) => where))]
  return labels.length > 3 ? `${labels.slice(0, 3).join(', ')}, …` : labels.join(', ')
}

/** The paths an option names, for watching. */
function watchedPaths(trust: unknown): string[] {
  if (typeof trust === 'string') return trust.includes('\n') || trust.includes('-----BEGIN') ? [] : [trust]
  if (trust instanceof Uint8Array || trust instanceof TrustStore || typeof trust !== 'object' || trust === null)
    return []
  if (Array.isArray(trust)) return trust.flatMap(watchedPaths)
  const { file, directory } = trust as { file?: unknown; directory?: unknown }
  if (typeof file === 'string') return [file]
  if (typeof directory === 'string') return [directory]
  return Object.values(trust).flatMap(watchedPaths)
}

import { digestOfSet, type Plain } from '../description.js'
import { ClientCertConfigError, refuseUnknownOptions } from '../errors.js'
import { watchFiles } from '../file-watch.js'
import { ReloadNews } from '../reload-events.js'
import { isThenable } from '../thenable.js'
import { readOperatorDirectory, readOperatorFile, trustFiles } from '../trust/pem-files.js'
import { parseBundle } from '../trust/trust-bundle.js'
import { warnOfReload } from '../warn.js'
import { broken, held, type LiveSource, makeRule, type Rule } from './rule.js'

/** Certificates of an allow-list: PEM text (one or many), DER octets, or a list of these. */
export type ListedContent = string | Uint8Array | readonly (string | Uint8Array)[]

/** Where the list comes from. */
export type ListedSource =
  | { readonly file: string; readonly watch?: boolean }
  | { readonly directory: string; readonly watch?: boolean }
  | {
      readonly load: () => ListedContent | Promise<ListedContent>
      /** Milliseconds between two loads, 1,000 at least. Without it `load` runs once, and on `reload()`. */
      readonly refresh?: number
    }

/** A rule whose list can be read again. */
export interface ListedRule extends Rule {
  /** Reads the list again. Rejects where it does not read whole; the former list then stays. */
  reload(): Promise<void>
  /** Stops watching. The list stays as it is. */
  close(): void
}

type Fingerprints = ReadonlySet<string>

/**
 * The certificate is one of a list, by its whole DER: an allow-list of certificates, as Azure API Management's
 * `context.Deployment.Certificates.Any(…)`. An empty list is nobody. Files are read now and watched: a list that changes is replaced whole or
 * not at all. A list that was never loaded refuses.
 *
 * @example
 * rules.listed({ directory: './partners.d' })
 * rules.listed({ load: () => database.certificates(), refresh: 60_000 })
 */
export function listed(source: ListedSource): ListedRule {
  const { where, label, read, paths, refresh, settings } = recipeOf(source)
  const description = `listed(${where})`
  const news = new ReloadNews('listed', label)
  let known: Fingerprints | undefined
  let asked = 0
  let applied = 0

  const apply = (turn: number, content: Fingerprints) => {
    // Two loads may overtake each other: what was asked for later stays.
    if (turn < applied) return
    applied = turn
    known = content
    news.loaded()
  }
  const reload = async () => {
    const turn = ++asked
    try {
      apply(turn, await read())
    } catch (error) {
      news.failed(error)
      throw error
    }
  }
  const reloadAlone = () => {
    reload().catch((error: unknown) => {
      warnOfReload(error, 'list holds')
    })
  }

  // Watched before it is read: what changes in between is read again.
  const stops: (() => void)[] = paths.length === 0 ? [] : [watchFiles(paths, reloadAlone)]
  let first: Promise<void>
  try {
    const content = read()
    if (isThenable(content)) {
      const turn = ++asked
      first = content.then((certificates) => apply(turn, certificates))
      // Whoever waits for ready() hears of it; until then the rule refuses.
      first.catch((error: unknown) => news.failed(error))
    } else {
      known = content
      first = Promise.resolve()
    }
  } catch (error) {
    for (const stop of stops) stop()
    throw error
  }
  if (refresh !== undefined) {
    const timer = setInterval(reloadAlone, refresh)
    timer.unref()
    stops.push(() => clearInterval(timer))
  }

  const close = () => {
    for (const stop of stops.splice(0)) stop()
  }
  const live: LiveSource = {
    get generation() {
      return news.generation
    },
    ready: () => first,
    close,
  }
  const rule = makeRule({
    description,
    isOfIdentity: false,
    bindsIssuer: true,
    live: [live],
    // Whom it names is counted, and told as a digest only: fingerprints are clients'.
    describe: () => ({
      kind: 'listed',
      ...settings,
      certificates: known?.size ?? null,
      digest: known === undefined ? null : digestOfSet(known),
    }),
    allow: ({ fingerprint }) => {
      if (known === undefined) return broken(description, 'threw', 'the list is not loaded')
      if (known.has(fingerprint)) return held(description)
      return broken(
        description,
        'did-not-hold',
        `${fingerprint} is not among its ${known.size} certificates — add it, or was it renewed?`,
      )
    },
  })
  return Object.freeze({ ...rule, reload, close })
}

interface Recipe {
  where: string
  /** The path as it was written, or what the function is called. */
  label: string
  /** Throws, or rejects, where the list does not read whole. */
  read: () => Fingerprints | Promise<Fingerprints>
  paths: readonly string[]
  refresh?: number
  /** For its description. */
  settings: { readonly [name: string]: Plain }
}

function recipeOf(source: ListedSource): Recipe {
  if (typeof source !== 'object' || source === null) {
    throw new ClientCertConfigError(
      "listed(…): expected { directory }, { file } or { load } — listed({ directory: './partners.d' })",
    )
  }
  if ('load' in source) return loadRecipe(source)
  const name = 'directory' in source ? 'directory' : 'file'
  refuseUnknownOptions('listed', source, [name, 'watch'])
  const { watch = true } = source
  const path: unknown = (source as Record<string, unknown>)[name]
  if (typeof path !== 'string' || path === '' || typeof watch !== 'boolean') {
    throw new ClientCertConfigError(`listed: ${name} is a path and watch a boolean — listed({ ${name}: './partners' })`)
  }
  const files = () =>
    name === 'file'
      ? [readOperatorFile('listed', path)]
      : readOperatorDirectory('listed', path, { ...trustFiles, mayBeEmpty: true })
  const read = () => fingerprintsOf(files().map((file) => ({ where: `listed: ${file.path}`, content: file.bytes })))
  return {
    where: JSON.stringify(path),
    label: path,
    read,
    paths: watch ? [path] : [],
    settings: { where: { [name]: path }, watch },
  }
}

function loadRecipe(source: ListedSource & { load: unknown }): Recipe {
  refuseUnknownOptions('listed', source, ['load', 'refresh'])
  const { load, refresh } = source as { load: () => ListedContent | Promise<ListedContent>; refresh?: number }
  if (typeof load !== 'function') throw new ClientCertConfigError(`listed: load is a function, got ${typeof load}`)
  if (refresh !== undefined && !(Number.isSafeInteger(refresh) && refresh >= 1_000 && refresh < 2 ** 31)) {
    throw new ClientCertConfigError(`listed: refresh is ${refresh}, expected milliseconds, 1,000 at least`)
  }
  const read = () => {
    const content = load()
    return isThenable(content) ? content.then(loadedFingerprints) : loadedFingerprints(content)
  }
  const where = load.name === 'load' ? 'load' : `load: ${load.name || 'function'}`
  return {
    where,
    label: where,
    read,
    paths: [],
    settings: { where: { load: load.name }, refreshMilliseconds: refresh ?? null },
    ...(refresh === undefined ? {} : { refresh }),
  }
}

function loadedFingerprints(content: unknown): Fingerprints {
  const items: readonly unknown[] = Array.isArray(content) ? content : [content]
  return fingerprintsOf(
    items.map((item, i) => {
      if (typeof item === 'string' || item instanceof Uint8Array)
        return { where: `listed: load, item ${i + 1}`, content: item }
      throw new ClientCertConfigError(
        `listed: load gave ${item === undefined ? 'nothing' : typeof item}, expected PEM or DER certificates, or a list of them; nobody is []`,
      )
    }),
  )
}

const fingerprintsOf = (parts: readonly { where: string; content: string | Uint8Array }[]): Fingerprints =>
  new Set(
    parts.flatMap(({ where, content }) => parseBundle(where, content, 'pinned').map(({ fingerprint }) => fingerprint)),
  )

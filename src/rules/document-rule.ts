import { digestOf } from '../description.js'
import { ClientCertConfigError, refuseUnknownOptions } from '../errors.js'
import { watchFiles } from '../file-watch.js'
import type { ClientIdentity } from '../identity/identity.js'
import { ReloadNews } from '../reload-events.js'
import { readOperatorFile } from '../trust/pem-files.js'
import { warnOfReload } from '../warn.js'
import type { RuleOutcome } from './outcome.js'
import { describeRule, held, judge, type LiveSource, makeRule, partsOf, type Rule, type RuleRequest } from './rule.js'
import { type DocumentOptions, type RuleDocument, ruleFromText, ruleFromValue } from './rule-document.js'

/** A document in a file (JSON, UTF-8), read now and watched. */
export interface RuleFile extends DocumentOptions {
  readonly file: string
  /** `false`: it is read once. Default true: a changed file is read within two seconds, whole or not at all. */
  readonly watch?: boolean
}

/** A rule whose document can be read again. */
export interface DocumentRule extends Rule {
  /** Reads the file again. Throws {@link ClientCertConfigError} where it does not read whole; the former rules then stay. */
  reload(): void
  /** Stops watching. The rules stay as they are. */
  close(): void
}

/**
 * Rules as data: a {@link RuleDocument}, or a file with one. A file is watched: when it changes, the new rules replace the former ones whole,
 * from the next request on and for those who were accepted before; one that does not read whole changes nothing, with a warning. A mistake in it
 * throws {@link ClientCertConfigError} with line and column.
 *
 * @example
 * app.put('/catalog/:id', requireClientCert(rules.document({ file: './editors.json' })), handler)
 */
export function document(source: RuleFile): DocumentRule
export function document(source: RuleDocument, options?: DocumentOptions): Rule
export function document(source: RuleFile | RuleDocument, options: DocumentOptions = {}): Rule {
  if (typeof source !== 'object' || source === null || Array.isArray(source)) {
    throw new ClientCertConfigError(
      "document(…): expected a document or a file — document({ file: './partners.json' }), document({ identities: [] })",
    )
  }
  if ('file' in source) return ruleOfFile(source)
  refuseUnknownOptions('document', options, ['dangerouslyAllowSha1Thumbprints'])
  return ruleFromValue('rules', source, options)
}

function ruleOfFile(source: RuleFile): DocumentRule {
  refuseUnknownOptions('document', source, ['file', 'watch', 'dangerouslyAllowSha1Thumbprints'])
  const { file, watch = true, ...options } = source
  if (typeof file !== 'string' || file === '' || typeof watch !== 'boolean') {
    throw new ClientCertConfigError(
      "document: file is a path and watch a boolean — document({ file: './partners.json' })",
    )
  }
  const read = () => ruleFromText(`rules: ${file}`, textOf(file, readOperatorFile('rules', file).bytes), options)
  const news = new ReloadNews('rules', file)
  let current: Rule
  const reload = () => {
    try {
      current = read()
    } catch (error) {
      news.failed(error)
      throw error
    }
    news.loaded()
  }
  // Watched before it is read: what changes in between is read again.
  const stop = watch ? watchFiles([file], () => reloadAlone(reload)) : () => {}
  try {
    current = read()
  } catch (error) {
    stop()
    throw error
  }
  const live: LiveSource = {
    get generation() {
      return news.generation
    },
    ready: async () => {},
    close: stop,
  }
  const description = `document(${JSON.stringify(file)})`
  const denial = makeRule({
    description: `deny(${description})`,
    isOfIdentity: false,
    allow: (identity, request, at) => firstDenial(current, identity, request, at),
  })
  const rule = makeRule({
    description,
    isOfIdentity: false,
    denials: [denial],
    unbound: partsOf(current).unbound,
    live: [live],
    describe: () => ({
      kind: 'document',
      where: { file },
      watch,
      allowsSha1Thumbprints: options.dangerouslyAllowSha1Thumbprints === true,
      // Of what it says, not of its octets: white space, its description and the order of its members decide nothing.
      digest: digestOf(describeRule(current)),
    }),
    allow: (identity, request, at = Number.NaN) => judge(current, identity, request, at),
  })
  return Object.freeze({ ...rule, reload, close: stop })
}

async function firstDenial(
  rule: Rule,
  identity: ClientIdentity,
  request: RuleRequest,
  at = Number.NaN,
): Promise<RuleOutcome> {
  for (const denial of partsOf(rule).denials) {
    const outcome = await judge(denial, identity, request, at)
    if (!outcome.holds) return outcome
  }
  return held('deny()')
}

function reloadAlone(reload: () => void): void {
  try {
    reload()
  } catch (error) {
    warnOfReload(error, 'rules hold')
  }
}

function textOf(file: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw new ClientCertConfigError(`rules: ${file}: is not UTF-8 — save it as UTF-8`)
  }
}

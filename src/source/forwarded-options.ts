import { ClientCertConfigError, nearest, refuseUnknownOptions } from '../errors.js'
import type { HeaderDecoder } from './decoding.js'
import { type Preset, type PresetName, presets, textFields, textOnly } from './presets.js'
import type { TrustedProxy } from './trusted-proxy.js'

export interface ForwardedHeaderOptions {
  /** The product that ends TLS, and with it the format of what it sends. It or `decoder` is required. */
  preset?: PresetName
  /** For a product without a preset: how it writes certificates. `headers.certificate` is then required. */
  decoder?: HeaderDecoder
  /** Field names where yours differ from the preset's, and the names of what may refuse but never admit. */
  headers?: ForwardedHeaderNames
  /** Who may send them. There is no default: a certificate is public, and whoever may send one may be anybody. */
  from: TrustedProxy
  /** XFCC only (`envoy`, `azure-container-apps`): how many of your proxies add an element behind the client's. Default 0. */
  trustedHops?: number
  /** With `headers.status`: the one value that does not refuse. Default the preset's. */
  statusAccepts?: string
}

export interface ForwardedHeaderNames {
  certificate?: string
  /** One field, several (Apache sends one for each certificate), or `false` if the proxy sends none. */
  chain?: string | readonly string[] | false
  /** The proxy's own verdict. Anything but its accepting value refuses; it never admits. */
  status?: string
  /** SHA-1 or SHA-256 of the certificate. Refuses where it does not agree. */
  fingerprint?: string
  /** Refuses where it does not agree. */
  serialNumber?: string
}

/** Options, read once. */
export interface ForwardedHeaderSettings {
  readonly label: string
  readonly preset: Preset
  readonly decoder: HeaderDecoder
  readonly from: TrustedProxy
  readonly certificate: string
  readonly chain: readonly string[]
  readonly trustedHops: number
  readonly status: string | undefined
  readonly statusAccepts: string
  readonly statusNone: readonly string[]
  readonly fingerprint: string | undefined
  readonly serialNumber: string | undefined
}

const where = 'forwardedHeader'
const optionNames: readonly (keyof ForwardedHeaderOptions)[] = [
  'preset',
  'decoder',
  'headers',
  'from',
  'trustedHops',
  'statusAccepts',
]
const headerNames: readonly (keyof ForwardedHeaderNames)[] = [
  'certificate',
  'chain',
  'status',
  'fingerprint',
  'serialNumber',
]

/** What is known of a product that is described by a decoder alone. */
const unknownProduct = (decoder: HeaderDecoder): Preset => ({
  certificate: undefined,
  chain: decoder.chain === undefined ? undefined : 'named',
  decoder,
  chainInValue: true,
  expansion: 1.5,
  absent: [],
  serialNumber: 'hex',
  whereToLook: 'the proxy has to set it on every path',
})

/** Throws {@link ClientCertConfigError}, with the fix, for whatever is unknown, missing or contradictory. */
export function resolveForwarding(options: ForwardedHeaderOptions): ForwardedHeaderSettings {
  if (typeof options !== 'object' || options === null)
    throw new ClientCertConfigError(`${where}: expected { preset, from }`)
  refuseUnknownOptions(where, options, optionNames)
  const { from, headers = {} } = options
  const [label, preset] = productOf(options)
  if (typeof from?.admits !== 'function') {
    throw new ClientCertConfigError(
      `${where}: from ${from === undefined ? 'is missing' : 'is no gate'} — who may send the header? from: proxyAddress('10.0.3.7'), the address of your proxy`,
    )
  }
  if (typeof headers !== 'object' || headers === null) throw new ClientCertConfigError(`${where}: headers is an object`)
  refuseUnknownOptions(`${where}.headers`, headers, headerNames)
  refuseUndefined(options)
  refuseUndefined(headers)
  const settings = {
    label,
    preset,
    decoder: decoderOf(options, label, preset),
    from,
    certificate: fieldName('certificate', headers.certificate ?? preset.certificate),
    chain: chainOf(headers.chain, label, preset),
    trustedHops: options.trustedHops ?? 0,
    ...statusOf(options, label, preset),
    fingerprint: optionalName('fingerprint', headers.fingerprint),
    serialNumber: optionalName('serialNumber', headers.serialNumber),
  }
  checkNames(settings)
  return settings
}

/** `{ status: undefined }` is a check that was meant and got lost. */
function refuseUndefined(given: object): void {
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined)
      throw new ClientCertConfigError(`${where}: ${name} is undefined — leave it out, or give it a value`)
  }
}

function productOf({ preset, decoder, headers }: ForwardedHeaderOptions): [label: string, preset: Preset] {
  if (decoder !== undefined) {
    if (preset !== undefined) throw new ClientCertConfigError(`${where}: preset and decoder exclude each other`)
    if (typeof decoder?.certificate !== 'function') {
      throw new ClientCertConfigError(`${where}: decoder is { certificate(value) }, which returns DER`)
    }
    if (headers?.certificate === undefined) {
      throw new ClientCertConfigError(
        `${where}: a decoder needs the field it reads: headers: { certificate: 'X-Client-Cert' }`,
      )
    }
    return ['decoder', unknownProduct(decoder)]
  }
  if (typeof preset === 'string' && Object.hasOwn(textOnly, preset)) {
    throw new ClientCertConfigError(`${where}: there can be no preset "${preset}": ${textOnly[preset]}`)
  }
  const known = preset !== undefined && Object.hasOwn(presets, preset) ? presets[preset] : undefined
  if (known !== undefined) return [preset as string, known]
  const names = Object.keys(presets)
  const near = typeof preset === 'string' ? nearest(preset, names) : undefined
  throw new ClientCertConfigError(
    `${where}: unknown preset ${JSON.stringify(preset)}.${near ? ` Did you mean "${near}"?` : ` Known: ${names.join(', ')}`}`,
  )
}

function decoderOf({ trustedHops }: ForwardedHeaderOptions, label: string, { decoder }: Preset): HeaderDecoder {
  if (typeof decoder !== 'function') {
    if (trustedHops === undefined) return decoder
    throw new ClientCertConfigError(
      `${where}: trustedHops counts elements of XFCC, which preset '${label}' does not send`,
    )
  }
  const hops = trustedHops ?? 0
  if (!Number.isSafeInteger(hops) || hops < 0) {
    throw new ClientCertConfigError(
      `${where}: trustedHops is a whole number from 0, got ${JSON.stringify(trustedHops)}`,
    )
  }
  return decoder(hops)
}

function chainOf(given: ForwardedHeaderNames['chain'], label: string, { chain }: Preset): readonly string[] {
  if (given === false) return []
  if (given === undefined) return chain === undefined || chain === 'named' ? [] : [chain]
  if (chain === undefined) {
    throw new ClientCertConfigError(
      `${where}: preset '${label}' has no chain header — configure the intermediates: intermediates: './issuing.pem'`,
    )
  }
  const names = typeof given === 'string' ? [given] : given
  if (!Array.isArray(names) || names.length === 0) {
    throw new ClientCertConfigError(`${where}: headers.chain is a name, a list of names, or false`)
  }
  return names.map((name) => fieldName('chain', name))
}

function statusOf({ headers = {}, statusAccepts }: ForwardedHeaderOptions, label: string, { status }: Preset) {
  const name = optionalName('status', headers.status)
  if (name === undefined) {
    if (statusAccepts === undefined) return { status: undefined, statusAccepts: '', statusNone: [] }
    throw new ClientCertConfigError(
      `${where}: statusAccepts needs the header: headers: { status: 'X-SSL-Client-Verify' }`,
    )
  }
  const accepts = statusAccepts ?? status?.accepts
  if (typeof accepts !== 'string' || accepts === '') {
    throw new ClientCertConfigError(
      `${where}: preset '${label}' sends no verdict of its own — statusAccepts: the one value that means "verified", or leave headers.status out`,
    )
  }
  return { status: name, statusAccepts: accepts, statusNone: status?.none ?? [] }
}

function checkNames({ certificate, chain, status, fingerprint, serialNumber }: ForwardedHeaderSettings): void {
  const text = textFields.find(([field]) => field.test(certificate))
  if (text !== undefined) throw new ClientCertConfigError(`${where}: headers.certificate: ${textOnly[text[1]]}`)
  const all = [certificate, ...chain, status, fingerprint, serialNumber].filter((name) => name !== undefined)
  const twice = all.find((name, i) => all.indexOf(name) !== i)
  if (twice !== undefined) throw new ClientCertConfigError(`${where}: two of headers name the same header, ${twice}`)
  const folded = all.map((name) => name.replace(/[_.]/g, '-'))
  const alike = all.find((_, i) => folded.indexOf(folded[i] as string) !== i)
  if (alike !== undefined) {
    throw new ClientCertConfigError(
      `${where}: ${alike} differs from another of headers in dashes, dots and underscores only`,
    )
  }
}

function optionalName(which: keyof ForwardedHeaderNames, name: string | undefined): string | undefined {
  return name === undefined ? undefined : fieldName(which, name)
}

/** RFC 9110 §5.1: a token; in lower case, as we compare it. */
function fieldName(which: string, name: unknown): string {
  if (typeof name === 'string' && /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(name)) return name.toLowerCase()
  throw new ClientCertConfigError(`${where}: headers.${which} is not a header name: ${JSON.stringify(name)}`)
}

import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { decodeBase64, formatPem, PemError, parsePem } from '../../src/x509/pem.js'

const bytes = Uint8Array.from({ length: 100 }, (_, i) => i)
const pem = formatPem('CERTIFICATE', bytes)
const lines = pem.trimEnd().split('\n')
const [begin, end] = [lines[0] as string, lines.at(-1) as string]
const body = lines.slice(1, -1).join('\n')

function reasonAgainst(text: string, options?: { comments?: boolean }): string | undefined {
  try {
    parsePem(text, options)
    return undefined
  } catch (error) {
    if (error instanceof PemError) return `${error.line}: ${error.message}`
    throw error
  }
}

describe('PEM (RFC 7468 §3)', () => {
  test.each([
    { name: 'as written', given: pem },
    { name: 'CRLF', given: pem.replaceAll('\n', '\r\n') },
    { name: 'no line feed at the end', given: pem.trimEnd() },
    { name: 'blank lines around', given: `\n\n${pem}\n \t\n` },
    { name: 'spaces at line ends', given: pem.replaceAll('\n', ' \t\n') },
    { name: 'one long line', given: `${begin}\n${body.replaceAll('\n', '')}\n${end}\n` },
    { name: 'lines of one character', given: `${begin}\n${[...body.replaceAll('\n', '')].join('\n')}\n${end}\n` },
  ])('$name is read', ({ given }) => {
    expect(parsePem(given).map((block) => [block.label, ...block.bytes])).toEqual([['CERTIFICATE', ...bytes]])
  })

  test.each([
    { name: 'no END line', given: `${begin}\n${body}\n`, reason: '1: CERTIFICATE is cut off: there is no END line' },
    {
      name: 'half an END line',
      given: `${begin}\n${body}\n-----END CERT`,
      reason: '1: CERTIFICATE is cut off: there is no END line',
    },
    { name: 'no BEGIN line', given: `${body}\n${end}\n`, reason: '1: text outside of a block' },
    { name: 'END alone', given: `${end}\n`, reason: '1: END CERTIFICATE without its BEGIN' },
    {
      name: 'another END label',
      given: `${begin}\n${body}\n-----END X509 CRL-----\n`,
      reason: '5: END X509 CRL closes BEGIN CERTIFICATE',
    },
    { name: 'a BEGIN inside', given: `${begin}\n${pem}`, reason: '2: BEGIN CERTIFICATE inside CERTIFICATE' },
    { name: 'a BEGIN line cut short', given: pem.slice(1), reason: '1: text outside of a block' },
    {
      name: 'something before BEGIN on its line',
      given: `x${pem}`,
      reason: '1: a BEGIN line has something else on it',
    },
    { name: 'a space before BEGIN', given: ` ${pem}`, reason: '1: a BEGIN line has something else on it' },
    {
      name: 'something after BEGIN on its line',
      given: pem.replace(begin, `${begin}x`),
      reason: '1: a BEGIN line has something else on it',
    },
    { name: 'a byte order mark', given: `\ufeff${pem}`, reason: '1: a BEGIN line has something else on it' },
    { name: 'explanatory text before', given: `subject=CN = alice\n${pem}`, reason: '1: text outside of a block' },
    { name: 'explanatory text after', given: `${pem}that was it\n`, reason: '6: text outside of a block' },
    {
      name: 'a blank line inside',
      given: `${begin}\n\n${body}\n${end}\n`,
      reason: '1: a blank line inside CERTIFICATE',
    },
    {
      name: 'a blank line after full lines',
      given: formatPem('CERTIFICATE', new Uint8Array(96)).replace('-----END', '\n-----END'),
      reason: '1: a blank line inside CERTIFICATE',
    },
    { name: 'a blank line alone', given: `${begin}\n\n${end}\n`, reason: '1: a blank line inside CERTIFICATE' },
    {
      name: 'encapsulated headers',
      given: `${begin}\nProc-Type: 4,ENCRYPTED\n${body}\n${end}\n`,
      reason: '1: CERTIFICATE has encapsulated headers; certificates have none',
    },
    { name: 'no contents', given: `${begin}\n${end}\n`, reason: '1: CERTIFICATE is empty' },
    { name: 'URL-safe base64', given: `${begin}\n-_-_\n${end}\n`, reason: '1: CERTIFICATE is not base64' },
    { name: 'a space within a line', given: `${begin}\nAAEC Aw==\n${end}\n`, reason: '1: CERTIFICATE is not base64' },
    { name: 'a space before a line', given: `${begin}\n AAEC\n${end}\n`, reason: '1: CERTIFICATE is not base64' },
    { name: 'a tab within a line', given: `${begin}\nAA\tEC\n${end}\n`, reason: '1: CERTIFICATE is not base64' },
    { name: 'missing padding', given: `${begin}\nAAE\n${end}\n`, reason: '1: CERTIFICATE is not base64' },
    { name: 'padding in the middle', given: `${begin}\nAA==AAEC\n${end}\n`, reason: '1: CERTIFICATE is not base64' },
    { name: 'padding alone', given: `${begin}\n====\n${end}\n`, reason: '1: CERTIFICATE is not base64' },
    { name: 'set pad bits', given: `${begin}\nAAF=\n${end}\n`, reason: '1: CERTIFICATE is not base64' },
    { name: 'NUL', given: `${begin}\nAAEC\0\0\0\0\n${end}\n`, reason: '1: CERTIFICATE is not base64' },
    {
      name: 'lower-case label',
      given: pem.replaceAll('CERTIFICATE', 'certificate'),
      reason: '1: a BEGIN line has something else on it',
    },
    {
      name: 'carriage returns alone',
      given: pem.replaceAll('\n', '\r'),
      reason: '1: a BEGIN line has something else on it',
    },
    { name: 'UTF-16', given: Buffer.from(pem, 'utf16le').toString('latin1'), reason: '1: text outside of a block' },
    { name: 'a comment, where none are allowed', given: `# CA\n${pem}`, reason: '1: text outside of a block' },
    { name: 'binary', given: Buffer.from(bytes).toString('latin1'), reason: '1: text outside of a block' },
  ])('$name is refused', ({ given, reason }) => {
    expect(reasonAgainst(given)).toBe(reason)
  })

  test('comments are allowed between blocks where asked for, never inside', () => {
    expect(reasonAgainst(`# CA\n${pem}#\n${pem}`, { comments: true })).toBeUndefined()
    expect(reasonAgainst(` # CA\n${pem}`, { comments: true })).toBe('1: text outside of a block')
    expect(reasonAgainst(pem.replace('\n', '\n# CA\n'), { comments: true })).toBe('1: CERTIFICATE is not base64')
  })

  test('every block is there, in order, with the line of its BEGIN', () => {
    const other = formatPem('X509 CRL', Uint8Array.of(1))
    const blocks = parsePem(`\n${pem}\n${other}${pem}`)
    expect(blocks.map(({ label, line }) => [label, line])).toEqual([
      ['CERTIFICATE', 2],
      ['X509 CRL', 8],
      ['CERTIFICATE', 11],
    ])
  })

  test('a bundle of which one block is bad is refused whole, with its line', () => {
    expect(reasonAgainst(pem + pem.replace('AAEC', '!AEC') + pem)).toBe('6: CERTIFICATE is not base64')
  })

  test('nothing is no block, and no error', () => {
    expect(parsePem('')).toEqual([])
    expect(parsePem('\n\n')).toEqual([])
  })

  test('what is written is what is read', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), (octets) => {
        const written = formatPem('CERTIFICATE', octets)
        expect(written.split('\n').every((line) => line.length <= 64)).toBe(true)
        expect([...(parsePem(written)[0]?.bytes ?? [])]).toEqual([...octets])
        const view = Buffer.concat([Buffer.from('xx'), octets]).subarray(2)
        expect(formatPem('CERTIFICATE', view)).toBe(written)
      }),
      { numRuns: 300 },
    )
  })

  test('a body says its octets in one way: whatever is changed in it, what is read is what encoding gives', () => {
    const change = fc.record({ at: fc.nat(), to: fc.constantFrom(...'AB/+-_=:\n\r \0é\u0141') })
    const octets = fc.uint8Array({ minLength: 1, maxLength: 200 })
    fc.assert(
      fc.property(octets, fc.array(change, { minLength: 1, maxLength: 3 }), fc.boolean(), (given, changes, inserts) => {
        const written = formatPem('CERTIFICATE', given).split('\n').slice(1, -2).join('\n').split('')
        for (const { at, to } of changes) written.splice(at % written.length, inserts ? 0 : 1, to)
        const text = `${begin}\n${written.join('')}\n${end}\n`
        if (reasonAgainst(text) !== undefined) return
        const read = Buffer.from(parsePem(text)[0]?.bytes ?? [])
        expect(read.toString('base64')).toBe(
          written
            .join('')
            .replace(/[ \t]*\r?\n/g, '')
            .trimEnd(),
        )
      }),
      { numRuns: 5000 },
    )
  })

  test('the quick way says what the other does, which is for text beyond ASCII', () => {
    const piece = fc.constantFrom(
      'A'.repeat(64),
      'A'.repeat(63),
      'AB==',
      'AAE=',
      'AA',
      '-',
      '_',
      '=',
      '\n',
      '\n',
      '\r\n',
      ' ',
      '\0',
    )
    const body = fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join(''))
    const read = (text: string) => {
      try {
        return parsePem(text, { comments: true }).map(({ label, line, bytes: octets }) => [label, line, ...octets])
      } catch (error) {
        return `${(error as PemError).line}: ${(error as PemError).message}`
      }
    }
    fc.assert(
      fc.property(fc.array(body, { minLength: 1, maxLength: 3 }), (bodies) => {
        const text = bodies.map((each) => `${begin}\n${each}\n${end}\n`).join('')
        expect(read(`# ascii\n${text}`)).toEqual(read(`# \u00e9\n${text}`))
      }),
      { numRuns: 5000 },
    )
  })

  test('blocks of one text are kept apart from everything else, side by side, if asked for', () => {
    const apart = parsePem(pem + pem, { apart: true }).map(({ bytes }) => bytes)
    const [first, second] = apart as [Uint8Array, Uint8Array]
    expect(first.buffer).toBe(second.buffer)
    expect(second.byteOffset).toBe(first.byteOffset + first.length)
    const [, commented] = [pem, `#${'-'.repeat(100_000)}\n${pem}`].map((text) =>
      parsePem(text, { apart: true, comments: true }),
    )
    expect(commented?.[0]?.bytes.buffer.byteLength).toBeLessThan(pem.length)
    expect(apart.map((octets) => [...octets])).toEqual([[...bytes], [...bytes]])
  })

  test('base64 has one spelling: what decodes is what encoding gives', () => {
    const unit = fc.constantFrom(...'ABab01+/-_= \n')
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 12 }), (text) => {
        const decoded = decodeBase64(text)
        if (decoded !== undefined) expect(Buffer.from(decoded).toString('base64')).toBe(text)
        else expect(Buffer.from(text, 'base64').toString('base64')).not.toBe(text)
      }),
      { numRuns: 3000 },
    )
  })

  test('whatever the text: PemError or blocks', () => {
    const part = fc.constantFrom(
      begin,
      end,
      '-----BEGIN X-----',
      '-----END X-----',
      '\n',
      '\r\n',
      ' ',
      'AAEC',
      '=',
      '#',
      ':',
      '-----',
      '\0',
      'é',
      '\ud800',
    )
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc.array(part, { maxLength: 14 }).map((parts) => parts.join('')),
    )
    fc.assert(
      fc.property(text, fc.boolean(), (given, comments) => {
        reasonAgainst(given, { comments })
      }),
      { numRuns: 5000 },
    )
  })

  test('every single character changed in a PEM text: refused, or the same octets, or other octets of the same label', () => {
    for (let at = 0; at < pem.length; at++) {
      for (const character of ['\0', '-', 'A', '=', '\n', ' ']) {
        const given = pem.slice(0, at) + character + pem.slice(at + 1)
        if (reasonAgainst(given) !== undefined) continue
        const blocks = parsePem(given)
        expect(blocks).toHaveLength(1)
        expect(blocks[0]?.label).toBe('CERTIFICATE')
      }
    }
  })

  test.each([
    { name: 'a megabyte of dashes', given: '-'.repeat(1_000_000) },
    { name: 'a BEGIN line and a megabyte of line feeds', given: begin + '\n'.repeat(1_000_000) },
    { name: 'a megabyte of BEGIN lines', given: `${begin}\n`.repeat(37_000) },
    { name: 'a BEGIN line of a megabyte of spaces', given: `-----BEGIN A${' '.repeat(1_000_000)}` },
    { name: 'a BEGIN line and a megabyte of blanks after it', given: `${begin}${' '.repeat(1_000_000)}x` },
    { name: 'a megabyte of spaces within a line', given: `${begin}\nAAEC${' '.repeat(1_000_000)}A\n${end}` },
    { name: 'a megabyte of tabs in lines of their own', given: `${begin}\n${'\t\n'.repeat(500_000)}${end}` },
    { name: 'a megabyte of spaces before a line', given: `${begin}\n${' '.repeat(1_000_000)}AAEC\n${end}` },
    { name: 'a megabyte of dashes inside', given: `${begin}\nAAEC\n${'-'.repeat(1_000_000)}\n${end}` },
    { name: 'a megabyte of base64 without an end', given: `${begin}\n${'A'.repeat(1_000_000)}` },
  ])('$name is refused soon', ({ given }) => {
    const started = performance.now()
    expect(reasonAgainst(given)).toBeDefined()
    expect(performance.now() - started).toBeLessThan(1000)
  })
})

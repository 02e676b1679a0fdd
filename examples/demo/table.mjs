// Prints sections of rows: ✓ who, with what, asks for what, is answered what, and why. Colours on a terminal only.
import { styleText } from 'node:util'

const colourful = process.stdout.isTTY === true && !process.env.NO_COLOR
const paint = (style, text) => (colourful ? styleText(style, text) : text)
const width = process.stdout.isTTY ? Math.max(100, process.stdout.columns) : 120
const columns = { who: 8, shows: 26, asks: 14, status: 3 }
const gap = '  '
const taken = 3 + Object.values(columns).reduce((sum, column) => sum + column + gap.length, 0)

const say = (line = '') => console.log(line)
const cut = (text, size) => (text.length > size ? `${text.slice(0, size - 1).trimEnd()}…` : text)
const cell = (text, size) => cut(text, size).padEnd(size)

export function title(text, subtitle) {
  say(paint('bold', text))
  say(paint('dim', subtitle))
  const heads = { who: 'who', shows: 'presents', asks: 'asks for', status: 'is', why: 'answered, because' }
  say()
  say(
    paint(
      'dim',
      `   ${Object.keys(heads)
        .map((name) => cell(heads[name], columns[name] ?? 20))
        .join(gap)}`.trimEnd(),
    ),
  )
}

export function section(heading, note) {
  say()
  say(`${paint(['bold', 'cyan'], heading)}${gap}${paint('dim', note)}`)
}

export function row({ held, who, shows, asks, status, why }) {
  const style = status < 300 ? 'green' : status < 500 ? 'yellow' : 'red'
  const cells = [
    cell(who, columns.who),
    paint('dim', cell(shows, columns.shows)),
    cell(asks, columns.asks),
    paint(style, cell(String(status), columns.status)),
    paintCode(cut(why, width - taken)),
  ]
  say(` ${held ? paint('green', '✓') : paint('red', '✗')} ${cells.join(gap)}`)
}

const paintCode = (why) => why.replace(/^[A-Z_]{4,}/, (code) => paint('yellow', code))

export function skipped(text) {
  say(paint('dim', ` – ${text}`))
}

/** `label  text`, the text wrapped at spaces and aligned. */
export function paragraph(label, text) {
  const indent = ' '.repeat(3 + columns.who + gap.length)
  const lines = ['']
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last !== '' && indent.length + last.length + 1 + word.length > width) lines.push(word)
    else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`
  }
  say(`   ${cell(label, columns.who)}${gap}${lines.join(`\n${indent}`)}`)
}

export function summary(failures, text) {
  say()
  say(failures === 0 ? paint(['bold', 'green'], `✓ ${text}`) : paint(['bold', 'red'], `✗ ${text}`))
}

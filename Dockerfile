# The image holds one static binary and the certificates of the public
# authorities; texts, time zones and migrations are inside the binary.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /congdanso ./cmd/congdanso

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /congdanso /congdanso
# A number, for there is no /etc/passwd: nobody's.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/congdanso"]
CMD ["serve"]

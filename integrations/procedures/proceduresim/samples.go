package proceduresim

import (
	"fmt"
	"time"
)

// Sample is a dossier as a developer's page lists it.
type Sample struct {
	Code       string
	NationCode string
	Status     int    // national number, 1–10
	StatusName string // the system's words
	Procedure  string
	Agency     string
	Owner      string
	Factor     string // four digits that open it; empty: none does
	Note       string // what is remarkable about it
}

// Dossiers lists the fixed samples first, then those of the last ten weeks, newest
// first; not those of Fill.
func (s *Sim) Dossiers() []Sample {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.o.Now()
	var out []Sample
	for _, d := range s.listed() {
		past := d.past(now, s.set[d.code])
		last := past[len(past)-1]
		sample := Sample{
			Code: d.code, NationCode: d.nationCode, Status: last.status, StatusName: last.name,
			Procedure: d.procedure.name, Agency: d.agency.name, Owner: d.owner.name, Note: d.note,
		}
		if n := len(d.owner.phone); n >= 4 {
			sample.Factor = d.owner.phone[n-4:]
		} else if n := len(d.owner.identity); n >= 4 {
			sample.Factor = d.owner.identity[n-4:]
		}
		out = append(out, sample)
	}
	return out
}

// fixedDossiers are those whose codes stand in documents and tests.
func (s *Sim) fixedDossiers() []*dossier {
	mau := agency{"H42.16", "UBND phường Mẫu"}
	marriage := procedure{
		code: "1.004873", name: "Cấp Giấy xác nhận tình trạng hôn nhân", field: "Hộ tịch", days: 3,
		fee: 0, feeNote: "Lệ phí theo nghị quyết của Hội đồng nhân dân tỉnh; có đối tượng được miễn",
	}
	birth := procedure{code: "1.001193", name: "Đăng ký khai sinh", field: "Hộ tịch", days: 1}
	land := procedure{code: "1.013831", name: "Đăng ký biến động quyền sử dụng đất", field: "Đất đai", days: 18, fee: 75000, feeNote: "Chưa gồm phí thẩm định"}
	day := func(d int, hour, minute int) time.Time { return time.Date(2024, 6, d, hour, minute, 0, 0, local) }
	due := day(17, 17, 0)
	thu, vidu := "Trần Văn Thử", "Lê Thị Ví Dụ"
	life := func(status int, words string) []event {
		events := []event{
			{at: day(12, 8, 1), status: 1, name: names[1], step: "Nộp hồ sơ", applied: true},
			{at: day(12, 8, 30), status: 2, name: names[2], step: "Tiếp nhận hồ sơ", officer: vidu, due: due},
			{at: day(12, 9, 30), status: 4, name: names[4], step: "Thẩm định hồ sơ", officer: thu, words: "Chuyển xử lý"},
		}
		if status != 4 {
			events = append(events, event{at: day(14, 16, 20), status: status, name: names[status], step: "Thẩm định hồ sơ", officer: thu, words: words})
		}
		return events
	}
	invented := func(n int, name string) person {
		return person{name, fmt.Sprintf("+8490000%04d", n), fmt.Sprintf("03719000%04d", n)}
	}
	supplement := life(5, "Bổ sung bản sao trích lục ly hôn")
	supplement[3].papers = []string{"Bản sao trích lục ly hôn"}
	filer := invented(31, "ĐỖ VĂN NHÁP")
	list := []*dossier{
		{code: "H42.16-240612-0001", procedure: marriage, owner: invented(1, "NGUYỄN THỊ MẪU"), life: supplement, note: "cần nộp thêm giấy tờ"},
		{code: "H42.16-240612-0002", procedure: birth, owner: invented(2, "TRẦN VĂN THỬ"), life: life(4, ""), note: "đang giải quyết, quá hẹn"},
		{code: "H42.16-240612-0003", procedure: land, owner: invented(3, "LÊ THỊ VÍ DỤ"), filer: &filer, life: life(6, "Nộp lệ phí để tiếp tục"), note: "cần nộp phí; người nộp khác chủ hồ sơ"},
		{code: "H42.16-240612-0004", procedure: birth, owner: invented(4, "PHẠM THỊ MINH HOẠ"), life: life(9, ""), note: "đã có kết quả, đúng hẹn"},
		{code: "000.00.16.H42-240612-0005", procedure: birth, owner: invented(5, "ĐỖ VĂN NHÁP"), life: life(10, ""), note: "mã kiểu cũ"},
		{code: "H42.16-240612-0006", nationCode: "G22.99.05-240612-0006", procedure: birth, owner: invented(6, "VŨ THỊ TẬP"), life: life(4, ""), quirk: NationCodeOnly, note: "chỉ tìm được theo mã quốc gia"},
		{code: "H42.16-240612-0007", procedure: birth, owner: invented(7, "BÙI VĂN DIỄN"), life: life(4, ""), quirk: NullDue, note: "không có ngày hẹn"},
		{code: "H42.16-240612-0008", procedure: birth, owner: invented(8, "ĐINH THỊ PHỎNG"), life: life(4, ""), quirk: DueBeforeReceipt, note: "ngày hẹn trước ngày nhận"},
		{code: "H42.16-240612-0009", procedure: birth, owner: invented(9, "HOÀNG VĂN BỊA"), life: life(4, ""), quirk: UnknownStatus, note: "trạng thái lạ"},
		{code: "H42.16-240612-0010", procedure: birth, owner: invented(10, "PHAN THỊ MẪU"), life: life(4, ""), quirk: NamesAsObjects, note: "tên viết kiểu khác"},
		{code: "H42.16-240612-0011", procedure: birth, owner: invented(11, "VŨ VĂN THỬ"), life: life(4, ""), quirk: Decomposed, note: "dấu tách rời, mã có khoảng trắng"},
		{code: "H42.16-240612-0012", procedure: birth, owner: invented(12, "ĐẶNG THỊ TẬP"), life: life(3, "Nộp sai cơ quan"), note: "bị từ chối"},
		{code: "H42.16-240612-0012", procedure: birth, owner: invented(112, "ĐẶNG VĂN NHÁP"), life: later(life(4, ""), 48*time.Hour), note: "hai hồ sơ một mã"},
		{code: "H42.16-240612-0013", procedure: birth, owner: person{name: "DƯƠNG THỊ BỊA"}, life: life(4, ""), note: "không có số điện thoại, căn cước"},
		{code: "H42.16-240612-0014", procedure: birth, owner: invented(14, "TRẦN THỊ NHÁP"), life: life(7, ""), note: "đã rút"},
		{code: "H42.16-240612-0015", procedure: land, owner: invented(15, "LÊ VĂN PHỎNG"), life: life(8, "Đất đang có tranh chấp"), note: "dừng giải quyết"},
	}
	for i, d := range list {
		d.agency, d.procedureID, d.online = mau, procedureID(900+i), true
		d.id = objectID(day(12, 0, 0), fmt.Sprintf("%s#%d", d.code, i))
	}
	return list
}

func later(life []event, by time.Duration) []event {
	for i := range life {
		life[i].at = life[i].at.Add(by)
		if !life[i].due.IsZero() {
			life[i].due = life[i].due.Add(by)
		}
	}
	return life
}
